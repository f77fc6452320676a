"""The caller of a request, however they proved who they are."""

from typing import Literal

import msgspec

from shared.contracts.base import Actor
from shared.contracts.users import Role

Method = Literal["token", "cookie", "signature"]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls. `access_key` is set for signed requests, `login_id` for tokens and cookies."""

    user_id: str
    role: Role
    domain: str
    method: Method
    access_key: str | None = None
    login_id: str | None = None

    @property
    def credential(self) -> str | None:
        """What the caller proved itself with: an access key or the id of a log-in session."""
        return self.access_key if self.access_key is not None else self.login_id

    def actor(self) -> Actor:
        """Return the caller as events name them, with the credential that was used."""
        return Actor(kind="user", id=self.user_id, credential=self.credential)
