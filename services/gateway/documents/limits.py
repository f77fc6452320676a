"""What somebody may use, what of it is in use, and what is left.

A limit of null is unlimited. Amounts of slots are decimal strings, everything else whole numbers;
times in seconds, sizes in bytes.
"""

from typing import Literal

import msgspec

LimitScope = Literal["keypair", "user", "project", "domain"]
Amount = str | int | None


class LimitDocument(msgspec.Struct, kw_only=True):
    """One limit. `slot` is given where there is one limit for each slot.

    `used` is null where nothing is added up: a limit that each session meets by itself, of which
    all remains; or one whose use is not known yet, and then `remaining` is null as well.
    """

    field: str
    slot: str | None = None
    limit: Amount
    used: Amount
    remaining: Amount


class ScopeLimits(msgspec.Struct, kw_only=True):
    """The limits of one keypair, user, project or domain; `policy` is the one that they are in.

    Not `visible`: the numbers are withheld from the caller, and no limits are listed.
    """

    scope: LimitScope
    id: str
    name: str
    policy: str | None
    visible: bool = True
    limits: list[LimitDocument]


class BindingLimit(msgspec.Struct, kw_only=True):
    """The limit of a field, or of one slot, that leaves least: it is the one that is met first."""

    field: str
    slot: str | None
    scope: LimitScope
    id: str
    remaining: str | int


class EffectiveLimits(msgspec.Struct, kw_only=True):
    """All limits of a user in one view.

    `binding` is for a session with the keypair `access_key` in the project `project`.
    """

    user_id: str
    access_key: str | None
    project: str | None
    scopes: list[ScopeLimits]
    binding: list[BindingLimit]
