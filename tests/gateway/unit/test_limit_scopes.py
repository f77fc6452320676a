from hypothesis import given
from hypothesis import strategies as st

from services.gateway.reads.limit_scopes import (
    TOTAL,
    binding,
    complete,
    of_domain,
    of_keypair,
    of_user,
    withheld,
)
from services.gateway.reads.occupancy import Use
from shared.kernel.slots import render_amount, render_limits

KEYPAIR = {"id": "AK", "access_key": "AK"}
DOMAIN = {"id": "east", "name": "east"}
slot_names = st.sampled_from(("cpu", "mem", "cuda.shares"))
limits = st.dictionaries(slot_names, st.none() | st.integers(0, 2**50))
amounts = st.dictionaries(slot_names, st.integers(1, 2**50))


def policy(**more):
    names = (
        "max_pending_session_count",
        "max_concurrent_sessions",
        "max_concurrent_sftp_sessions",
        "max_containers_per_session",
        "max_priority",
        "max_session_lifetime",
        "idle_timeout",
    )
    return {
        "name": "p",
        "default_for_unspecified": "unlimited",
        TOTAL: {},
        "max_pending_session_resource_slots": {},
        **dict.fromkeys(names),
        **more,
    }


def rows(scope):
    return {
        (item.field, item.slot): (item.limit, item.used, item.remaining) for item in scope.limits
    }


@given(given_limits=limits, held=amounts, unspecified=st.sampled_from(("limited", "unlimited")))
def test_what_is_left_is_the_limit_less_what_is_held_and_never_below_nothing(
    given_limits, held, unspecified
):
    found = policy(
        total_resource_slots=render_limits(given_limits), default_for_unspecified=unspecified
    )
    scope = rows(of_keypair(KEYPAIR, found, Use(held=held), {"cpu", "mem"}))
    for slot in {"cpu", "mem"} | given_limits.keys() | held.keys():
        most = given_limits.get(slot, 0 if unspecified == "limited" else None)
        used = held.get(slot, 0)
        left = None if most is None else max(most - used, 0)
        assert scope[TOTAL, slot] == tuple(
            None if amount is None else render_amount(slot, amount) for amount in (most, used, left)
        )


def test_an_explicit_null_is_unlimited_also_where_what_is_not_named_is_not_to_be_had():
    found = policy(total_resource_slots={"cpu": None}, default_for_unspecified="limited")
    assert complete(found, ("cpu", "mem")) == {"cpu": None, "mem": 0}


def test_a_keypair_whose_policy_is_not_known_yet_starts_nothing():
    scope = of_keypair(KEYPAIR, None, Use(sessions=1), {"cpu"})
    assert rows(scope) == {("max_concurrent_sessions", None): (0, 1, 0)}
    assert binding([scope])[0].remaining == 0


def test_a_user_without_a_policy_still_shows_what_is_used():
    user = {"id": "u", "email": None}
    scope = of_user(user, None, Use(held={"cpu": 500}, sessions=1, pending=2), ("cpu",))
    assert (scope.name, scope.policy) == ("u", None)
    assert rows(scope) == {
        (TOTAL, "cpu"): (None, "0.5", None),
        ("max_concurrent_sessions", None): (None, 1, None),
        ("max_pending_session_count", None): (None, 2, None),
    }


@given(of_keypairs=limits, of_domains=limits, held=amounts)
def test_the_scope_that_leaves_least_binds(of_keypairs, of_domains, held):
    keypair = of_keypair(
        KEYPAIR, policy(total_resource_slots=render_limits(of_keypairs)), Use(held=held), ()
    )
    domain = of_domain({**DOMAIN, TOTAL: render_limits(of_domains)}, Use(held=held), ())
    found = {item.slot: (item.scope, item.remaining) for item in binding([keypair, domain])}
    wanted = {}
    for slot in of_keypairs.keys() | of_domains.keys():
        left = [
            (max(given_limits[slot] - held.get(slot, 0), 0), order, scope)
            for order, (scope, given_limits) in enumerate(
                (("keypair", of_keypairs), ("domain", of_domains))
            )
            if given_limits.get(slot) is not None
        ]
        if left:
            amount, _, scope = min(left)
            wanted[slot] = (scope, render_amount(slot, amount))
    assert found == wanted


def test_what_is_withheld_has_a_name_and_no_numbers():
    scope = of_domain({**DOMAIN, TOTAL: {"cpu": "7"}}, Use(), ("cpu",))
    hidden = withheld(scope)
    assert (hidden.id, hidden.visible, hidden.limits) == ("east", False, [])
    assert scope.visible
    assert binding([hidden]) == []
