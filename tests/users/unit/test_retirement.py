"""What becomes of the name of a policy, in whatever order the messages about it come."""

from functools import reduce
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from services.users.domain.retirement import INITIAL, PolicyName, Uses, decide, evolve
from shared.contracts.users import (
    PolicyReinstated,
    PolicyRetired,
    ReinstatePolicy,
    RetirePolicy,
)
from shared.kernel.rejections import Rejection

USED = Uses(count=21, ids=tuple(f"u{number:02}" for number in range(20)))


def retire(created: int = 7, as_of: int = 1) -> RetirePolicy:
    return RetirePolicy(kind="user", name="small", created=created, as_of=as_of)


def reinstate(created: int = 7, as_of: int = 2) -> ReinstatePolicy:
    return ReinstatePolicy(kind="user", name="small", created=created, as_of=as_of)


def after(*events: PolicyRetired | PolicyReinstated) -> PolicyName:
    return reduce(evolve, events, INITIAL)


def retired(created: int = 7, as_of: int = 1) -> PolicyRetired:
    return PolicyRetired(kind="user", name="small", created=created, as_of=as_of)


def reinstated(created: int = 7, as_of: int = 2) -> PolicyReinstated:
    return PolicyReinstated(kind="user", name="small", created=created, as_of=as_of)


def test_a_policy_that_nobody_uses_is_retired():
    assert decide(INITIAL, retire()) == (retired(),)


def test_a_policy_in_use_is_not_retired_and_the_first_twenty_users_of_it_are_told():
    refused = decide(INITIAL, retire(), USED)
    assert isinstance(refused, Rejection)
    assert (refused.kind, refused.code) == ("conflict", "policy_in_use")
    assert refused.details["count"] == 21
    assert refused.details["references"][0] == {"type": "user", "id": "u00"}
    assert len(refused.details["references"]) == 20


def test_retiring_it_again_changes_nothing():
    assert decide(after(retired()), retire()) == ()


def test_retiring_it_as_of_a_later_state_is_remembered():
    assert decide(after(retired()), retire(as_of=3)) == (retired(as_of=3),)


def test_what_was_decided_before_a_reinstatement_retires_nothing_after_it():
    refused = decide(after(retired(), reinstated()), retire())
    assert isinstance(refused, Rejection)
    assert refused.code == "policy_changed"


def test_a_retired_policy_is_reinstated_by_a_later_decision():
    assert decide(after(retired()), reinstate()) == (reinstated(),)


def test_a_reinstatement_that_comes_after_a_later_retirement_changes_nothing():
    assert decide(after(retired(), retired(as_of=3)), reinstate(as_of=2)) == ()
    assert decide(after(retired(), retired(as_of=3)), reinstate(as_of=3)) == ()


def test_the_reinstatement_of_another_policy_of_the_name_changes_nothing():
    assert decide(after(retired()), reinstate(created=3)) == ()


class Policy(NamedTuple):
    """One policy of the name, as the policies service has it: versions, and when it may go."""

    deletable: tuple[bool, ...]  # by version, from 1


@given(
    st.lists(st.booleans(), min_size=1, max_size=6).map(lambda flags: Policy(tuple(flags))),
    st.data(),
)
def test_a_deletion_that_holds_finds_its_policy_retired_for_ever(
    policy: Policy, data: st.DataObject
):
    """Any number of messages, in any order, late and repeated; only the last version is deleted."""
    last = len(policy.deletable)
    sendable = [
        retire(as_of=version) if may_go else reinstate(as_of=version)
        for version, may_go in enumerate(policy.deletable, start=1)
    ]
    # whoever follows may also ask for reinstatement where the policy could be deleted
    sendable += [reinstate(as_of=version) for version in range(1, last + 1)]
    before = data.draw(st.lists(st.sampled_from(sendable), max_size=12))
    later = data.draw(st.lists(st.sampled_from(sendable), max_size=12))
    state = INITIAL
    for command in before:
        decided = decide(state, command)
        state = state if isinstance(decided, Rejection) else reduce(evolve, decided, state)
    answer = decide(state, retire(as_of=last))
    assert not isinstance(answer, Rejection), "nothing was decided on a later state"
    state = reduce(evolve, answer, state)
    assert state.retired == 7
    for command in later:
        decided = decide(state, command)
        state = state if isinstance(decided, Rejection) else reduce(evolve, decided, state)
        assert state.retired == 7, "the policy has been deleted: nobody may get it"
