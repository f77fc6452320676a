"""What the gateway shows of a resource group is what the scheduler goes by."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.projections.resource_groups import (
    GUARDED,
    RESOURCE_GROUPS,
    access,
    fold,
    for_users,
)
from services.scheduler.domain.resource_group import ResourceGroup, evolve
from shared.contracts.base import Actor, Meta
from shared.contracts.scheduler import (
    ALL_SESSION_TYPES,
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
)
from shared.eventlog.records import Recorded

AT = datetime(2026, 1, 1, tzinfo=UTC)
some = st.lists(st.sampled_from(("a", "b")), unique=True).map(tuple)
fields = {
    "description": st.sampled_from(("", "x")),
    "is_active": st.booleans(),
    "is_public": st.booleans(),
    "is_default": st.booleans(),
    "scheduler": st.sampled_from(("fifo", "lifo", "drf")),
    "retries_to_skip": st.none() | st.integers(0, 3),
    "pending_timeout": st.none() | st.integers(0, 3),
    "allowed_session_types": st.lists(st.sampled_from(ALL_SESSION_TYPES), min_size=1).map(tuple),
    "agent_selection_strategy": st.sampled_from(("dispersed", "legacy")),
    "allow_fractional_resource_fragmentation": st.booleans(),
    "wsproxy_addr": st.none() | st.just("http://p"),
    "wsproxy_api_token": st.none() | st.just("1.sealed"),
    "allowed_domains": st.none() | some,
    "allowed_projects": some,
    "allowed_keypairs": some,
}
given_fields = st.fixed_dictionaries({}, optional=fields)
created = given_fields.map(lambda found: ResourceGroupCreated(name="g", **found))
changed = given_fields.map(lambda found: ResourceGroupChanged(name="g", **found))
deleted = st.just(ResourceGroupDeleted(name="g"))
lives = st.lists(
    st.tuples(created, st.lists(changed, max_size=4), deleted).map(
        lambda life: (life[0], *life[1], life[2])
    ),
    max_size=3,
).flatmap(
    lambda lives: st.tuples(created, st.lists(changed, max_size=4)).map(
        lambda last: [*(event for life in lives for event in life), last[0], *last[1]]
    )
)


def recorded(event):
    return Recorded(
        position=1,
        stream="resource-group-g",
        version=1,
        type=type(event).__name__,
        schema_version=1,
        event=event,
        meta=Meta(actor=Actor("user", "root"), correlation_id="c"),
        event_id="e",
        recorded_at=AT,
    )


def both(events):
    """Fold events as the gateway does and as the scheduler does."""
    documents, state = {}, None
    for event in events:
        fold(documents, recorded(event))
        state = evolve(state, event)
    return documents["g"], state


@given(lives)
def test_the_document_says_what_the_scheduler_knows(events):
    document, state = both(events)
    assert isinstance(state, ResourceGroup)
    shown, known = msgspec.to_builtins(document), msgspec.to_builtins(state)
    token = known.pop("wsproxy_api_token")
    assert shown.pop("has_wsproxy_api_token") is (token is not None)
    assert "1.sealed" not in RESOURCE_GROUPS.encode(document)
    told = {
        name: list(value) if isinstance(value, tuple) else value for name, value in known.items()
    }
    assert shown | told == shown


@given(lives, st.sampled_from("abc"), st.sampled_from("abc"), st.sampled_from("abc"))
def test_who_is_let_in_is_who_has_access(events, domain, project, keypair):
    document, state = both(events)
    rows = set(access(document))
    found = rows & {
        ("everybody", ""),
        ("domain", domain),
        ("project", project),
        ("keypair", keypair),
    }
    assert state.admits(domain, project, keypair) == (document.is_public and bool(found))


@given(lives)
def test_users_are_not_shown_who_else_may_enter(events):
    document, _ = both(events)
    whole, narrow = msgspec.to_builtins(document), msgspec.json.decode(for_users(document))
    assert set(whole) - set(narrow) == set(GUARDED)
    decoded = RESOURCE_GROUPS.decode(for_users(document))
    assert msgspec.to_builtins(decoded) == {
        name: value for name, value in whole.items() if name not in GUARDED
    }
