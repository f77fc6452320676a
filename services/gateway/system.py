"""What the installation is made of and how its parts are: from what they tell of themselves."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import msgspec

from services.gateway.projections.occupancy import SESSIONS as HELD_SESSIONS
from services.gateway.version import API_VERSION, VERSION
from shared.kernel.clock import Clock
from shared.kernel.slots import add, render_slots, slots_of
from shared.runtime.status import ServiceStatus

COMPONENTS: Final = ("users", "policies", "scheduler", "agents", "storage", "modelstore")
STALE_S: Final = 10.0
_SESSIONS: Final = "select status, count(*) from sessions group by status"
_AGENTS: Final = (
    "select status, schedulable, doc::json->>'available_slots' as available from agents"
)
_OCCUPIED: Final = (
    "select slot, sum(held) from occupancy where scope = 'agent' and slot <> $1 group by slot"
    " having sum(held) > 0"
)


class ComponentDocument(msgspec.Struct, kw_only=True):
    """One part of the installation; `lag` counts events that it has not yet handled."""

    name: str
    version: str | None
    status: str
    compatible: bool | None
    lag: int | None
    checks: dict[str, Any] = {}


class System:
    """Keeps what the services last told."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        own: Callable[[], Awaitable[ServiceStatus]],
        stale: Callable[[], list[tuple[str, str]]],
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._own = own
        self._stale = stale
        self._told: dict[str, tuple[float, ServiceStatus]] = {}

    def record(self, status: ServiceStatus) -> bool:
        """Keep what a service tells of itself; True when its status is another than before."""
        if status.service not in COMPONENTS:
            return False
        before = self._told.get(status.service)
        self._told[status.service] = (self._clock.monotonic(), status)
        return before is None or before[1].status != status.status

    def stale(self) -> list[tuple[str, str]]:
        """Return (service, time) of what is shown as it was at that time, and not as it is now."""
        return self._stale()

    async def info(self, *, with_totals: bool) -> dict[str, Any]:
        """Return the answer of `/v1/system/info`."""
        return {
            "version": VERSION,
            "api_version": API_VERSION,
            "components": await self.components(),
            "cluster": await self.totals() if with_totals else None,
        }

    async def components(self) -> list[ComponentDocument]:
        """Return every part with its status: `ok`, `degraded`, `failed` or `away`."""
        own = await self._own()
        return [_component(own), *(self._component(name) for name in COMPONENTS)]

    def _component(self, name: str) -> ComponentDocument:
        known = self._told.get(name)
        if known is None or self._clock.monotonic() - known[0] > STALE_S:
            version = known[1].version if known is not None else None
            return ComponentDocument(
                name=name, version=version, status="away", compatible=None, lag=None
            )
        return _component(known[1])

    async def totals(self) -> dict[str, Any]:
        """Return the cluster's sums: sessions by status, agents, slots that can be used."""
        sessions = {row[0]: row[1] for row in await self._pool.fetch(_SESSIONS)}
        agents = await self._pool.fetch(_AGENTS)
        usable: dict[str, int] = {}
        for row in agents:
            if row["status"] == "ALIVE" and row["schedulable"]:
                usable = add(usable, slots_of(msgspec.json.decode(row["available"])))
        occupied = {row[0]: int(row[1]) for row in await self._pool.fetch(_OCCUPIED, HELD_SESSIONS)}
        return {
            "sessions": sessions,
            "agents": {
                "total": len(agents),
                "alive": sum(1 for row in agents if row["status"] == "ALIVE"),
            },
            "available_slots": render_slots(usable),
            "occupied_slots": render_slots(occupied),
        }


def _component(status: ServiceStatus) -> ComponentDocument:
    major, minor = VERSION.split(".")[:2]
    return ComponentDocument(
        name=status.service,
        version=status.version,
        status=status.status,
        compatible=status.version.split(".")[:2] == [major, minor],
        lag=status.lag,
        checks=status.checks,
    )
