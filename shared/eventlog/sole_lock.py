"""A place that one process holds at a time: a session lock in Postgres, with a proof of life.

The lock goes with its connection, so whoever waits for it hears at once of a process that ended.
It hears nothing of one that was stopped, or whose machine is cut off: Postgres keeps the connection
for hours. So the holder asks something trivial on that connection all the time, and who waits ends
a holder's connection that has been silent for `LEASE_S`. Whatever depends on being the only one
must be fenced besides: the silent one may wake up, and does not know it yet.
"""

import asyncio
from typing import Any, Final

from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import reaching_postgres
from shared.kernel.cancellation import is_wanted
from shared.kernel.clock import Clock, SystemClock
from shared.observability.logging import get_logger

log = get_logger(__name__)

LEASE_S: Final = 2.5
PROOF_INTERVAL_S: Final = 0.75
TRY_INTERVAL_S: Final = 0.5
_ENDING_MS: Final = 1000
_TRY: Final = "select pg_try_advisory_lock($1, hashtext($2))"
# A role sees, and may end, connections of its own. Where Postgres does not track activities the
# time is null, and a silent holder is waited for as long as its connection lasts.
_END_SILENT: Final = """
    select count(*) filter (where pg_terminate_backend(a.pid, $4))
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 2
        and l.database = (select oid from pg_database where datname = current_database())
        and l.classid::bigint = $1
        and l.objid::bigint = hashtext($2)::bigint & 4294967295
        and a.state_change < clock_timestamp() - make_interval(secs => $3)
"""
_PROOF: Final = "select 1"


class SoleLock:
    """The place `name` among those of `lock_class`, on a connection given to it alone.

    `sure_until` is the moment of the monotonic clock up to which nobody can have taken it over.
    """

    def __init__(
        self, connection: Any, lock_class: int, name: str, clock: Clock | None = None
    ) -> None:
        self._connection = connection
        self._class = lock_class
        self._name = name
        self._clock = clock or SystemClock()
        self._gone = asyncio.Event()
        self.sure_until = 0.0
        connection.add_termination_listener(self._on_termination)

    async def take(self) -> None:
        """Wait until the place is ours; raises LogUnavailable."""
        while is_wanted():
            if await self._try():
                return
            if await self._end_silent():
                log.warning("silent_holder_ended", name=self._name)
            else:
                # Postgres can't tell when such a lock is free without holding a transaction
                await asyncio.sleep(TRY_INTERVAL_S)

    async def keep(self) -> None:
        """Prove that this process lives, until it is cancelled.

        Raises LogUnavailable as soon as the place is lost, or can't be said to be ours.
        """
        while is_wanted():
            try:
                async with asyncio.timeout(PROOF_INTERVAL_S):
                    await self._gone.wait()
            except TimeoutError:
                await self._ask(_PROOF)
            else:
                raise LogUnavailable("the connection that held the place is gone")

    async def _try(self) -> bool:
        return bool(await self._ask(_TRY, self._class, self._name))

    async def _ask(self, question: str, *arguments: object) -> Any:
        asked_at = self._clock.monotonic()
        with reaching_postgres():
            answer = await self._connection.fetchval(question, *arguments, timeout=LEASE_S)
        self.sure_until = asked_at + LEASE_S
        return answer

    async def _end_silent(self) -> bool:
        with reaching_postgres():
            ended = await self._connection.fetchval(
                _END_SILENT, self._class, self._name, LEASE_S, _ENDING_MS
            )
        return bool(ended)

    def _on_termination(self, _connection: Any) -> None:
        self._gone.set()
