"""What the gateways tell of sessions being used: telemetry, so that what is lost is lost."""

from datetime import datetime

import msgspec


class SessionActivity(msgspec.Struct, frozen=True, kw_only=True):
    """Telemetry on `tel.gateway.activity`: somebody uses a session.

    It is repeated every few seconds for as long as `open_streams` is above zero.
    """

    session_id: str
    at: datetime
    open_streams: int = 0
