"""The name of a policy, as the users service sees it: may it be given to anybody, or not any more.

The policies service says what it wants together with the version of the policy that it looked at.
Messages may come late or twice; nothing that was decided on an older version undoes what was
decided on a newer one, and of the same version a retirement wins over a reinstatement: the
deletion that follows a retirement holds only for the version that was retired.
"""

from typing import Any, Final

import msgspec

from shared.contracts.base import Event
from shared.contracts.policies import PolicyKind
from shared.contracts.users import (
    PolicyReinstated,
    PolicyRetired,
    ReinstatePolicy,
    RetirementCommand,
    RetirementEvent,
    RetirePolicy,
)
from shared.kernel.rejections import Rejection, conflict

SHOWN_MAX: Final = 20


class PolicyName(msgspec.Struct, frozen=True):
    """`retired` is the creation of the policy that nobody may get, 0 when there is none."""

    retired: int = 0
    as_of: int = 0


class Uses(msgspec.Struct, frozen=True):
    """Who uses a policy: how many, and the ids of the first SHOWN_MAX."""

    count: int = 0
    ids: tuple[str, ...] = ()


INITIAL: Final = PolicyName()
UNUSED: Final = Uses()


def evolve(state: PolicyName, event: Event) -> PolicyName:
    """Return what is known of the name after an event."""
    if isinstance(event, PolicyRetired):
        return PolicyName(retired=event.created, as_of=event.as_of)
    if isinstance(event, PolicyReinstated):
        return PolicyName(retired=0, as_of=event.as_of)
    return state


def decide(
    state: PolicyName, command: RetirementCommand, uses: Uses = UNUSED
) -> tuple[RetirementEvent, ...] | Rejection:
    """Retire a policy that nobody uses, or let one be used again."""
    what: Any = {
        "kind": command.kind,
        "name": command.name,
        "created": command.created,
        "as_of": command.as_of,
    }
    match command:
        case RetirePolicy():
            if command.as_of < state.as_of:
                text = "The policy has changed meanwhile; look at it again."
                return conflict("policy_changed", text)
            if uses.count:
                return in_use(command.kind, command.name, uses)
            if (state.retired, state.as_of) == (command.created, command.as_of):
                return ()
            return (PolicyRetired(**what),)
        case ReinstatePolicy():
            if state.retired != command.created or command.as_of <= state.as_of:
                return ()
            return (PolicyReinstated(**what),)


def in_use(kind: PolicyKind, name: str, uses: Uses) -> Rejection:
    """Return the refusal to retire a policy that somebody uses."""
    who = {"keypair": "keypair(s)", "user": "user(s)", "project": "project(s)"}[kind]
    text = (
        f"The {kind} policy '{name[:64]}' is used by {uses.count} {who}; "
        "give them another one first."
    )
    shown = [{"type": kind, "id": used} for used in uses.ids[:SHOWN_MAX]]
    return conflict("policy_in_use", text, count=uses.count, references=shown)
