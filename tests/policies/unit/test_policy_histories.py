"""A policy's history against an obvious twin: a dict that is written, updated and emptied."""

from typing import Any

import msgspec
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.policies.domain import keypair_policy
from services.policies.domain.keypair_policy import KeypairPolicy, decide_deletion
from shared.contracts.policies import ChangeKeypairPolicy, CreateKeypairPolicy
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.kernel.slots import MILLI

RULES = Decider(keypair_policy.INITIAL, keypair_policy.evolve, keypair_policy.decide)
MAXIMA = {"cpu": 4, "mem": 4, "idle_timeout": 4, "max_concurrent_sessions": None}
AMOUNTS = st.none() | st.integers(-1, 6)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "is_default": st.booleans(),
        "idle_timeout": AMOUNTS,
        "max_concurrent_sessions": AMOUNTS,
        "total_resource_slots": st.dictionaries(
            st.sampled_from(["cpu", "mem"]), AMOUNTS | st.integers(3, 6).map(MILLI.__mul__)
        ),
    },
)
STEPS = st.lists(st.tuples(st.sampled_from(["create", "change", "delete"]), FIELDS), max_size=12)
BLANK = msgspec.structs.asdict(CreateKeypairPolicy(name="p"))


def is_fine(given: dict[str, Any], before: dict[str, Any]) -> bool:
    """Tell by hand whether values are in range and, where they differ, below the maximum."""
    slots, old = given.get("total_resource_slots", {}), before.get("total_resource_slots", {})
    amounts = [given.get("idle_timeout"), given.get("max_concurrent_sessions"), *slots.values()]
    if any(amount is not None and amount < 0 for amount in amounts):
        return False
    idle = given.get("idle_timeout")
    if idle is not None and idle > 4 and idle != before.get("idle_timeout"):
        return False
    most = {"cpu": 4 * MILLI, "mem": 4}
    return not any(
        amount is not None and amount > most[slot] and amount != old.get(slot)
        for slot, amount in slots.items()
    )


def expected(twin: dict[str, Any] | None, step: str, given: dict[str, Any]) -> Any:
    """Return the twin after a step, or False when the step is refused."""
    if step == "create":
        return twin is None and is_fine(given, {}) and {**BLANK, **given}
    if twin is None or not is_fine(given if step == "change" else {}, twin):
        return False
    if step == "delete":
        return False if twin["is_default"] else None
    gives_up = twin["is_default"] and given.get("is_default") is False
    return False if gives_up else {**twin, **given}


def decided(state: KeypairPolicy, step: str, given: dict[str, Any]) -> Any:
    if step == "delete":
        return decide_deletion(state, "p")
    command = CreateKeypairPolicy if step == "create" else ChangeKeypairPolicy
    return RULES.decide(state, command(name="p", **given), MAXIMA)


@for_all(STEPS)
def test_a_policy_is_what_was_created_and_changed_since(steps: list) -> None:
    state, twin = RULES.initial, None
    for step, given in steps:
        outcome, after = decided(state, step, given), expected(twin, step, given)
        assert isinstance(outcome, Rejection) == (after is False), (step, given, twin)
        if isinstance(outcome, Rejection):
            continue
        assert bool(outcome) == (after != twin)
        state, twin = RULES.fold(outcome, state), after
        assert (state.values and msgspec.structs.asdict(state.values)) == twin
