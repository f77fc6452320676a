"""The words that everything about users shares."""

from typing import Annotated, Literal, TypeAlias

import msgspec

Role = Literal["superadmin", "admin", "user", "monitor"]
UserStatus = Literal["active", "inactive", "before_verification"]
KeypairStatus = Literal["active", "inactive"]
ProjectType = Literal["general", "model-store"]
ProjectRole = Literal["member", "admin"]
LoginEnd = Literal["logout", "revoked", "expired", "password_changed", "user_erased"]

AllowedHosts: TypeAlias = Annotated[
    dict[str, tuple[str, ...]],
    msgspec.Meta(description="What may be done with folders, by storage host."),
]
