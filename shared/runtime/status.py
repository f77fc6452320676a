"""What every running service tells of itself, so that others need not ask."""

from datetime import datetime
from typing import Any

import msgspec


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Telemetry on `tel.services.status.<service>`; `lag` is the largest of its checks'."""

    service: str
    version: str
    status: str
    lag: int | None
    at: datetime
    checks: dict[str, Any] = {}
