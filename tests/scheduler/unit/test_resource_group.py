"""What becomes of resource groups, and who may enter them."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.resource_group import (
    Context,
    Defaults,
    Reference,
    ResourceGroup,
    choose,
    decide,
    evolve,
    seed,
)
from shared.contracts.scheduler import (
    ChangeResourceGroup,
    CreateResourceGroup,
    DeleteResourceGroup,
    EnqueueSession,
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
)
from shared.kernel.rejections import Rejection


def create(name="gpu", **more):
    return CreateResourceGroup(name=name, **more)


def change(name="gpu", **more):
    return ChangeResourceGroup(name=name, **more)


def after(state, command, context=Context()):  # noqa: B008  # it is frozen
    events = decide(state, command, context)
    assert not isinstance(events, Rejection), events
    mine = [event for event in events if event.name == command.name]
    return reduce(evolve, mine, state)


def refused(state, command, context=Context()):  # noqa: B008  # it is frozen
    found = decide(state, command, context)
    assert isinstance(found, Rejection), found
    return found


def wrong(state, command):
    return {error.field: error.code for error in refused(state, command).errors}


GROUP = ResourceGroup(name="gpu")


def session(**more):
    values = {
        "name": "train",
        "session_type": "batch",
        "user_id": "u1",
        "access_key": None,
        "domain": "east",
        "project_id": "p1",
        "image": "img",
        **more,
    }
    return EnqueueSession(**values)


def test_a_group_is_created_once_with_what_is_given():
    (event,) = decide(None, create(description="A100s", retries_to_skip=0), Context())
    assert event == ResourceGroupCreated(name="gpu", description="A100s", retries_to_skip=0)
    assert refused(GROUP, create()).code == "resource_group_exists"


def test_a_group_without_a_scheduler_has_the_one_of_the_settings():
    assert after(None, create(), Context(scheduler="drf")).scheduler == "drf"
    assert after(None, create(scheduler="fifo"), Context(scheduler="drf")).scheduler == "fifo"


def test_everything_that_is_wrong_is_said_at_once():
    bad = create(
        "a b",
        description="x" * 513,
        retries_to_skip=-1,
        pending_timeout=-1,
        allowed_session_types=(),
        wsproxy_addr="ftp://proxy",
        allowed_domains=("d",) * 1001,
    )
    assert wrong(None, bad) == {
        "name": "characters",
        "description": "too_long",
        "retries_to_skip": "out_of_range",
        "pending_timeout": "out_of_range",
        "allowed_session_types": "empty",
        "wsproxy_addr": "not_an_address",
        "allowed_domains": "too_many",
    }


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "x" * 65, "한글", "a\n"])
def test_a_name_that_cannot_stand_in_a_path_is_refused(name):
    assert wrong(None, create(name)) == {"name": "characters"}


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://proxy.example.org:5050/", "https://proxy.example.org:5050"),
        ("http://10.0.0.1", "http://10.0.0.1"),
        ("http://[::1]:5050/apps", "http://[::1]:5050/apps"),
        ("", None),
    ],
)
def test_an_app_proxy_has_an_address_or_there_is_none(address, kept):
    assert after(GROUP, change(wsproxy_addr="http://before")).wsproxy_addr == "http://before"
    group = ResourceGroup(name="gpu", wsproxy_addr="http://before")
    assert after(group, change(wsproxy_addr=address)).wsproxy_addr == kept


@pytest.mark.parametrize(
    "address",
    [
        "ftp://x",
        "proxy",
        "https://",
        "http://a:0",
        "http://a:99999",
        "http://u:p@a",
        "http://a b",
        "//a",
    ],
)
def test_what_is_no_address_is_refused(address):
    assert wrong(GROUP, change(wsproxy_addr=address)) == {"wsproxy_addr": "not_an_address"}


@pytest.mark.parametrize("scheduler", ["lifo", "drf"])
def test_retries_are_for_fifo_only(scheduler):
    bad = change(scheduler=scheduler, retries_to_skip=2)
    assert wrong(GROUP, bad) == {"retries_to_skip": "only_fifo"}
    assert after(GROUP, change(scheduler=scheduler, retries_to_skip=0)).scheduler == scheduler
    waiting = ResourceGroup(name="gpu", scheduler=scheduler)
    assert wrong(waiting, change(retries_to_skip=1)) == {"retries_to_skip": "only_fifo"}
    assert after(waiting, change(scheduler="fifo", retries_to_skip=1)).retries_to_skip == 1


def test_a_change_tells_only_what_is_different():
    events = decide(GROUP, change(is_active=False, is_public=True, description=""), Context())
    assert events == (ResourceGroupChanged(name="gpu", is_active=False),)
    assert decide(GROUP, change(is_active=True), Context()) == ()
    assert refused(None, change()).code == "resource_group_not_found"


def test_there_is_one_default_group():
    context = Context(default="default")
    former = ResourceGroupChanged(name="default", is_default=False)
    assert decide(None, create(is_default=True), context)[0] == former
    assert decide(GROUP, change(is_default=True), context) == (
        former,
        ResourceGroupChanged(name="gpu", is_default=True),
    )
    default = ResourceGroup(name="gpu", is_default=True)
    assert refused(default, change(is_default=False)).code == "default_needed"
    assert refused(default, DeleteResourceGroup(name="gpu")).code == "default_group"


def test_types_of_sessions_are_kept_in_one_order_and_once():
    group = after(None, create(allowed_session_types=("batch", "interactive", "batch")))
    assert group.allowed_session_types == ("interactive", "batch")


def test_naming_projects_or_keypairs_closes_a_group_to_everybody_else():
    assert after(None, create(allowed_projects=("p1",))).allowed_domains == ()
    assert after(GROUP, change(allowed_keypairs=("AK",))).allowed_domains == ()
    assert after(None, create()).allowed_domains is None
    both = after(None, create(allowed_projects=("p1",), allowed_domains=None))
    assert both.allowed_domains is None
    closed = after(GROUP, change(allowed_projects=("p1",)))
    assert after(closed, change(allowed_projects=())).allowed_domains == ()
    named = ResourceGroup(name="gpu", allowed_domains=("east",))
    assert after(named, change(allowed_projects=("p1",))).allowed_domains == ("east",)


def test_a_group_in_use_is_not_deleted():
    context = Context(references=(Reference("agent", "a1"),), count=1)
    group = ResourceGroup(name="gpu", allowed_domains=("east",), allowed_projects=("p1",))
    found = refused(group, DeleteResourceGroup(name="gpu"), context)
    assert (found.kind, found.code) == ("conflict", "resource_group_in_use")
    assert found.details["count"] == 3
    assert found.details["references"] == [
        {"type": "agent", "id": "a1"},
        {"type": "domain", "id": "east"},
        {"type": "project", "id": "p1"},
    ]


def test_a_group_that_nothing_refers_to_is_deleted_and_may_be_created_again():
    (event,) = decide(GROUP, DeleteResourceGroup(name="gpu"), Context())
    assert event == ResourceGroupDeleted(name="gpu")
    assert evolve(GROUP, event) is None
    assert refused(None, DeleteResourceGroup(name="gpu")).code == "resource_group_not_found"
    assert after(None, create()) == GROUP


def test_a_session_enters_by_its_domain_its_project_or_its_keypair():
    closed = ResourceGroup(name="gpu", allowed_domains=())
    assert not closed.admits("east", "p1", "AK")
    assert not closed.admits("east", "p1", None)
    for allowed in (
        {"allowed_domains": ("east",)},
        {"allowed_projects": ("p1",)},
        {"allowed_keypairs": ("AK",)},
    ):
        group = ResourceGroup(name="gpu", **{"allowed_domains": (), **allowed})
        assert group.admits("east", "p1", "AK")
        assert not group.admits("west", "p2", "OTHER")
    assert GROUP.admits("east", "p1", None)
    assert not ResourceGroup(name="gpu", is_public=False).admits("east", "p1", "AK")


def test_a_session_that_names_no_group_gets_the_default_one_else_the_first_by_name():
    default = ResourceGroup(name="x", is_default=True)
    b, a = ResourceGroup(name="b"), ResourceGroup(name="a")
    assert choose([b, default, a], session(), None) == "x"
    no_batch = ResourceGroup(name="x", is_default=True, allowed_session_types=("interactive",))
    assert choose([b, no_batch, a], session(), None) == "a"
    resting = ResourceGroup(name="a", is_active=False)
    foreign = ResourceGroup(name="aa", allowed_domains=("west",))
    assert choose([b, no_batch, resting, foreign], session(), None) == "b"
    assert choose([resting, foreign], session(), None) is None


def test_what_a_group_leaves_open_is_as_the_settings_say():
    assert GROUP.options_under(Defaults(retries_to_skip=7)).retries_to_skip == 7
    own = ResourceGroup(name="gpu", retries_to_skip=0)
    assert own.options_under(Defaults(retries_to_skip=7)).retries_to_skip == 0


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text("ab", max_size=3),
        "is_active": st.booleans(),
        "is_public": st.booleans(),
        "retries_to_skip": st.none() | st.integers(0, 3),
        "pending_timeout": st.none() | st.integers(0, 3),
        "allowed_session_types": st.lists(
            st.sampled_from(["interactive", "batch", "inference"]), min_size=1
        ).map(tuple),
        "allowed_domains": st.none() | st.lists(st.sampled_from("ab")).map(tuple),
        "allowed_projects": st.lists(st.sampled_from("ab")).map(tuple),
        "allowed_keypairs": st.lists(st.sampled_from("ab")).map(tuple),
    },
)


@given(FIELDS, st.lists(FIELDS, max_size=4))
def test_the_same_change_twice_changes_nothing_the_second_time(first, changes):
    state = after(None, create(**first))
    for fields in changes:
        state = after(state, change(**fields))
        assert decide(state, change(**fields), Context()) == ()


NAMES = st.sampled_from(("default", "a", "b"))
COMMANDS = st.one_of(
    st.builds(create, NAMES, is_default=st.booleans(), is_public=st.booleans()),
    st.builds(change, NAMES, is_default=st.booleans(), is_active=st.booleans()),
    st.builds(change, NAMES, allowed_projects=st.sampled_from(((), ("p1",)))),
    st.builds(lambda name: DeleteResourceGroup(name=name), NAMES),
)


@given(st.lists(COMMANDS, max_size=12))
def test_whatever_is_asked_one_group_is_the_default_one(commands):
    groups = {"default": evolve(None, seed(None)[0])}
    for command in commands:
        (default,) = [group.name for group in groups.values() if group.is_default]
        found = decide(groups.get(command.name), command, Context(default=default))
        for event in () if isinstance(found, Rejection) else found:
            groups[event.name] = evolve(groups.get(event.name), event)
        groups = {name: group for name, group in groups.items() if group is not None}
    assert len([group for group in groups.values() if group.is_default]) == 1
