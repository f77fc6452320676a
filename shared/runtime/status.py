"""What every running service tells of itself every few seconds, so that nobody need ask."""

import asyncio
from datetime import datetime
from typing import Any, Final

import msgspec
from nats.aio.client import Client

from shared.kernel.clock import Clock
from shared.messaging import telemetry
from shared.observability.health import Health

STATUS_SUBJECTS: Final = "tel.services.status.*"
VERSION: Final = "0.1.0"
INTERVAL_S: Final = 2.0


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Telemetry on `tel.services.status.<service>`; `lag` is the largest of its checks'."""

    service: str
    version: str
    status: str
    lag: int | None
    at: datetime
    checks: dict[str, Any] = {}


async def status_of(health: Health, clock: Clock) -> ServiceStatus:
    """Return what a service says of itself now."""
    report = await health.report()
    lags = [check.lag for check in report.checks.values() if check.lag is not None]
    return ServiceStatus(
        service=report.service,
        version=VERSION,
        status=report.status,
        lag=max(lags, default=None),
        at=clock.now(),
        checks=msgspec.to_builtins(report.checks),
    )


async def tell_status(nats: Client, health: Health, clock: Clock) -> None:
    """Tell the service's status until cancelled; what is lost is told again soon."""
    subject = STATUS_SUBJECTS.replace("*", health.service)
    while True:
        await telemetry.publish(nats, subject, await status_of(health, clock))
        await asyncio.sleep(INTERVAL_S)
