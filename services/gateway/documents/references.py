"""What uses a policy."""

from typing import Literal

import msgspec


class ReferenceOwner(msgspec.Struct, kw_only=True):
    """Whose keypair it is; the e-mail is null for one who was erased."""

    id: str
    email: str | None


class ReferenceDocument(msgspec.Struct, kw_only=True):
    """One user of a policy. `name` is the access key, the e-mail or the name of the project."""

    type: Literal["keypair", "user", "project"]
    id: str
    name: str | None
    status: str
    owner: ReferenceOwner | None = None


class DeletionReason(msgspec.Struct, kw_only=True):
    """Why something can't be deleted now."""

    code: str
    message: str


class Deletability(msgspec.Struct, kw_only=True):
    """Whether something can be deleted now; `reason` is null when it can."""

    deletable: bool
    reason: DeletionReason | None
