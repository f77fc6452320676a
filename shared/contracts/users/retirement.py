"""Names of policies that may not be given to anybody any more: the users' half of a deletion.

`created` is the position of the policy's creation in the log of the policies service. A retired
name can be given again when a policy of that name was created later. `as_of` is the version of the
policy's stream on which the policies service decided: what it decided later wins, however late
what came before arrives.
"""

from typing import ClassVar, TypeAlias

from shared.contracts.base import Command, Event
from shared.contracts.policies import PolicyKind


class PolicyNameEvent(Event, frozen=True):
    """What the events about a policy's name have in common."""

    AGGREGATE: ClassVar[str] = "policy-name"
    kind: PolicyKind
    name: str
    created: int
    as_of: int = 0

    def key(self) -> str:
        """Return the kind and the name of the policy."""
        return f"{self.kind}:{self.name}"


class PolicyRetired(PolicyNameEvent, frozen=True, tag="PolicyRetired"):
    """Nobody uses this policy, and nobody will: it may be deleted."""


class PolicyReinstated(PolicyNameEvent, frozen=True, tag="PolicyReinstated"):
    """A policy that was retired stays after all."""


class RetirePolicy(Command, frozen=True, tag="RetirePolicy"):
    """Let nobody use a policy from now on, unless somebody does.

    Repeating it is harmless. Refused: `policy_in_use` (409) with `count` and `references`, the
    first 20 of `{type: keypair|user|project, id}`; the erased don't count. `policy_changed` (409)
    when it was decided on an older state of the policy than something that was told before.
    """

    SERVICE: ClassVar = "users"
    kind: PolicyKind
    name: str
    created: int
    as_of: int = 0


class ReinstatePolicy(Command, frozen=True, tag="ReinstatePolicy"):
    """Let a retired policy be used again, unless it was retired as of the same state or a later."""

    SERVICE: ClassVar = "users"
    kind: PolicyKind
    name: str
    created: int
    as_of: int = 0


RetirementEvent: TypeAlias = PolicyRetired | PolicyReinstated
RetirementCommand: TypeAlias = RetirePolicy | ReinstatePolicy
