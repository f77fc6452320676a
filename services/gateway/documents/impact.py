"""What a change of a policy would mean for those who are bound by it."""

from typing import Any, Literal

import msgspec

from services.gateway.actions.warnings import LimitWarning
from services.gateway.http.bodies import Body


class ImpactBody(Body, frozen=True, kw_only=True):
    """A merge patch as the policy itself takes it; nothing is changed by asking."""

    patch: dict[str, Any]


class Exceeding(msgspec.Struct, kw_only=True):
    """Something that is over a limit of the changed policy now.

    A keypair by what its sessions hold or wait for, a session by itself. `user_id` is the user
    whose it is. Amounts of slots are decimal strings, everything else whole numbers.
    """

    type: Literal["keypair", "session"]
    id: str
    name: str
    user_id: str
    field: str
    slot: str | None
    used: str | int
    limit: str | int
    over_by: str | int


class Impact(msgspec.Struct, kw_only=True):
    """What a patch of a policy would mean, as things are now.

    `bound` counts the keypairs, users or projects that have the policy; `exceeding` lists the first
    100 of `exceeding_total`, the ones that are over by most first in each limit. Only what the
    patch names is looked at. `unmeasured` are the fields whose use is not known yet.
    """

    bound: int
    exceeding: list[Exceeding]
    exceeding_total: int
    unmeasured: list[str]
    warnings: list[LimitWarning]
