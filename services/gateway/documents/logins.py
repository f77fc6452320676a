"""A log-in session: a bearer token that was issued and may be revoked."""

from datetime import datetime

import msgspec

from shared.contracts.users import LoginEnd


class LoginDocument(msgspec.Struct, kw_only=True):
    """One log-in session of a user; it is over when `ended_at` is set or `expires_at` is past."""

    id: str
    user_id: str
    expires_at: datetime
    ended_at: datetime | None = None
    end_reason: LoginEnd | None = None
    client_address: str | None = None
    created_at: datetime
    modified_at: datetime
