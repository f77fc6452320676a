"""A credential for programs."""

from datetime import datetime

import msgspec

from shared.contracts.users import KeypairStatus


class KeypairDocument(msgspec.Struct, kw_only=True):
    """One keypair, without its secret. `rate_limit` counts requests in 900 s; null is unlimited.

    `last_used_at` and `requests_in_window` are added when it is rendered.
    """

    id: str
    access_key: str
    user_id: str
    domain: str
    status: KeypairStatus
    resource_policy: str
    rate_limit: int | None
    is_main: bool
    created_at: datetime
    modified_at: datetime
