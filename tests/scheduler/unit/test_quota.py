"""What a keypair policy lets into a queue, and what is said to whom it does not let in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.enqueue import decide
from services.scheduler.domain.quota import CODE, KeypairLimits, PendingUse, evolve, exceeded
from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
)
from shared.kernel.rejections import FieldError, Rejection
from tests.scheduler.unit.test_enqueue_rules import command, facts, wrong_fields

KEY = "AKIATEST"


def limits(**more):
    return KeypairLimits(name="small", **more)


def outcome(pending=(0, {}), wanted=None, **more):
    return exceeded(command(**(wanted or {})), KEY, limits(**more), PendingUse(*pending))


@pytest.mark.parametrize(
    ("more", "wanted", "pending", "wrong"),
    [
        ({}, {"priority": 100, "cluster_size": 50, "count": 9}, (9, {"cpu": 9}), {}),
        ({"max_priority": 10}, {"priority": 10}, (0, {}), {}),
        ({"max_priority": 10}, {"priority": 11}, (0, {}), {"priority"}),
        ({"max_priority": 0}, {"priority": 1}, (0, {}), {"priority"}),
        ({"max_containers_per_session": 2}, {"cluster_size": 2}, (0, {}), {}),
        ({"max_containers_per_session": 2}, {"cluster_size": 3}, (0, {}), {"cluster_size"}),
        ({"max_pending_session_count": 1}, {}, (0, {}), {}),
        ({"max_pending_session_count": 1}, {}, (1, {}), {"count"}),
        ({"max_pending_session_count": 0}, {}, (0, {}), {"count"}),
        ({"max_pending_session_count": 3}, {"count": 3}, (0, {}), {}),
        ({"max_pending_session_count": 3}, {"count": 3}, (1, {}), {"count"}),
        ({"max_pending_session_resource_slots": {"cpu": 2000}}, {}, (1, {"cpu": 1000}), {}),
        (
            {"max_pending_session_resource_slots": {"cpu": 2000}},
            {},
            (1, {"cpu": 1001}),
            {"resources.cpu"},
        ),
        (
            {"max_pending_session_resource_slots": {"cpu": 5000, "mem": None}},
            {"resources": {"cpu": 1000, "mem": 2**40}, "cluster_size": 3, "count": 2},
            (0, {}),
            {"resources.cpu"},
        ),
        (
            {"max_pending_session_resource_slots": {"cpu": 0}},
            {"resources": {"mem": 1}},
            (1, {"cpu": 4000}),
            {},
        ),
    ],
)
def test_what_is_over_a_limit_is_refused_by_its_field(more, wanted, pending, wrong):
    found = outcome(pending, wanted, **more)
    assert set(wrong_fields(found)) == wrong if wrong else found is None


def test_a_refusal_tells_policy_scope_and_numbers():
    found = outcome(
        (1, {"cpu": 1500}),
        {"priority": 20},
        max_priority=10,
        max_pending_session_count=1,
        max_pending_session_resource_slots={"cpu": 2000},
    )
    assert (found.kind, found.code, found.details["policy"]) == ("invalid", CODE, "small")
    told = [
        (one["scope"], one["slot"], one["used"], one["requested"], one["limit"])
        for one in found.details["violations"]
    ]
    assert told == [
        (f"keypair:{KEY}", "max_priority", None, "20", "10"),
        (f"keypair:{KEY}", "max_pending_session_count", "1", "1", "1"),
        (f"keypair:{KEY}", "cpu", "1.5", "1", "2"),
    ]
    assert "1.5 wait already and 1 was asked for" in found.errors[2].message


def test_an_enqueue_is_decided_by_the_limits_of_its_keypair():
    bound = facts(access_key=KEY, limits=limits(max_pending_session_count=1))
    (event,) = decide(command(), bound)
    assert event.access_key == KEY
    waiting = facts(
        access_key=KEY, limits=limits(max_pending_session_count=1), pending=PendingUse(1)
    )
    assert wrong_fields(decide(command(), waiting)) == {"count": CODE}


@pytest.mark.parametrize(("most", "given_to_it"), [(None, 10), (50, 10), (3, 3), (0, 0)])
def test_who_names_no_priority_gets_the_usual_or_the_highest_allowed(most, given_to_it):
    (event,) = decide(command(), facts(access_key=KEY, limits=limits(max_priority=most)))
    assert event.priority == given_to_it


def test_nothing_enters_under_a_policy_that_has_not_been_heard_of():
    refusal = decide(command(), facts(access_key=KEY, limits=None))
    assert isinstance(refusal, Rejection)
    assert (refusal.kind, refusal.code) == ("unavailable", "policy_unknown")


def test_a_keypair_of_somebody_else_is_refused_by_name():
    problem = FieldError("access_key", "keypair_not_found", "The user has no keypair X.")
    refusal = decide(command(), facts(access_key=KEY, keypair_problem=problem))
    assert wrong_fields(refusal) == {"access_key": "keypair_not_found"}
    assert refusal.code == "keypair_not_found"


def test_limits_follow_what_becomes_of_a_policy():
    made = evolve(
        None, KeypairPolicyCreated(name="p", max_priority=5, total_resource_slots={"cpu": 1000})
    )
    changed = evolve(
        made, KeypairPolicyChanged(name="p", max_priority=None, max_containers_per_session=2)
    )
    assert (changed.max_priority, changed.max_containers_per_session) == (None, 2)
    assert changed.total_resource_slots == {"cpu": 1000}
    assert evolve(changed, KeypairPolicyDeleted(name="p")) == changed
    assert evolve(changed, KeypairPolicyCreated(name="p")) == KeypairLimits(name="p")


@given(
    limit=st.integers(0, 6_000),
    waiting=st.integers(0, 6_000),
    cpu=st.integers(1, 3_000),
    size=st.integers(1, 3),
    count=st.integers(1, 3),
)
def test_what_waits_together_is_never_more_than_the_limit(limit, waiting, cpu, size, count):
    found = outcome(
        (1, {"cpu": waiting}),
        {"resources": {"cpu": cpu}, "cluster_size": size, "count": count},
        max_pending_session_resource_slots={"cpu": limit},
    )
    assert (found is None) == (waiting + cpu * size * count <= limit)
