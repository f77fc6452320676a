"""What is added to documents when they are rendered, because it changes by the second."""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from services.gateway.auth.keypair_use import KeypairUse
from services.gateway.reads.deadlines import deadlines_of
from services.gateway.reads.occupancy import use_of
from services.gateway.reads.pages import extend
from services.gateway.telemetry.loads import AgentLoads
from services.gateway.telemetry.queues import NO_PLACE, Queues
from shared.kernel.clock import Clock
from shared.kernel.slots import render_slots

_PENDING: Final = '"status":"PENDING"'
_RUNNING: Final = '"status":"RUNNING"'
_NAMES: Final = (
    "select m.id, u.email, u.username, u.full_name, u.erased from memberships m"
    " join users u on u.id = m.user_id where m.id = any($1::text[])"
)
_NAMED: Final = ("email", "username", "full_name")
Found = Sequence[tuple[str, str]]


class Decorations:
    """Adds what is not stored with sessions, agents, keypairs and members of projects."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        queues: Queues,
        loads: AgentLoads,
        use: KeypairUse,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._queues = queues
        self._loads = loads
        self._use = use
        self._clock = clock

    async def sessions(self, found: Found) -> list[str]:
        """Add each session's place in its queue and why it waits, or when it has to end."""
        alive = [key for key, text in found if _RUNNING in text or _PENDING in text]
        ends = await deadlines_of(self._pool, alive)
        return [
            extend(text, {**self._place(key, text), "expires_at": ends.get(key)})
            for key, text in found
        ]

    def _place(self, key: str, text: str) -> dict[str, Any]:
        place = self._queues.place(key) if _PENDING in text else None
        return NO_PLACE if place is None else place.members(self._clock.now())

    async def agents(self, found: Found) -> list[str]:
        """Add what is handed out of each agent, and what its machine does now."""
        keys = [key for key, _ in found]
        use = await use_of(self._pool, [("agent", key) for key in keys])
        return [
            extend(
                text,
                {
                    "occupied_slots": render_slots(use["agent", key].held),
                    "session_count": use["agent", key].sessions,
                    "live": self._loads.live(key),
                },
            )
            for key, text in found
        ]

    async def keypairs(self, found: Found) -> list[str]:
        """Add how much of its window each keypair has used, and when it was used last."""
        now, limits = self._clock.monotonic(), self._use.limits
        last = {key: limits.last_used_at(key) for key, _ in found}
        unknown = [key for key, at in last.items() if at is None]
        if unknown:
            last.update(await self._use.store.last_used_at(unknown))
        return [
            extend(text, {"requests_in_window": limits.used(key, now), "last_used_at": last[key]})
            for key, text in found
        ]

    async def members(self, found: Found) -> list[str]:
        """Add what the members of a project are called; null for those who have been erased."""
        rows = await self._pool.fetch(_NAMES, [key for key, _ in found])
        named = {
            row["id"]: {name: None if row["erased"] else row[name] for name in _NAMED}
            for row in rows
        }
        return [extend(text, named[key]) for key, text in found]
