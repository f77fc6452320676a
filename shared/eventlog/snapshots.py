"""Snapshots: a long stream's state, kept so that loading it needs only the events since.

A snapshot is a cache. It is ignored when the shape of the state has changed (`state_version`) and
may be deleted at any time; the log alone says what is true. Most streams end (a session does)
long before they need one.
"""

from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.pool import reaching_postgres

S = TypeVar("S")

WORTH_EVENTS: Final = 500
_FIND: Final = "select version, state from snapshots where stream = $1 and state_version = $2"
_KEEP: Final = """
    insert into snapshots (stream, version, state_version, state) values ($1, $2, $3, $4)
        on conflict (stream) do update
        set version = excluded.version, state_version = excluded.state_version,
            state = excluded.state
        where (snapshots.state_version, snapshots.version)
            < (excluded.state_version, excluded.version)
"""


class Loaded(NamedTuple, Generic[S]):
    """The present state of a stream and its version, for `Write.expected_version`."""

    state: S
    version: int


class Snapshots(Generic[S]):
    """Loads the streams of one decider, with a snapshot where it is worth one.

    `state_type` is a msgspec type; raise `state_version` when its shape or `evolve` changes.
    `worth_events` is after how many events since the last a new snapshot is kept.
    """

    def __init__(
        self,
        log: EventLog,
        decider: Decider[S, Any, Any],
        state_type: type[S],
        state_version: int,
        *,
        worth_events: int = WORTH_EVENTS,
    ) -> None:
        self._log = log
        self._decider = decider
        self._version = state_version
        self._worth = worth_events
        self._decoder = msgspec.json.Decoder(state_type)

    async def load(self, stream: str) -> Loaded[S]:
        """Return the state of a stream; keeps a snapshot of it when many events were folded.

        Raises LogUnavailable.
        """
        with reaching_postgres():
            row = await self._log.pool.fetchrow(_FIND, stream, self._version)
        state, version = self._decider.initial, 0
        if row is not None:
            state, version = self._decoder.decode(row["state"]), row["version"]
        since = await self._log.load(stream, after=version)
        state = self._decider.fold(since.events, state)
        if len(since.events) >= self._worth:
            with reaching_postgres():
                await self._log.pool.execute(
                    _KEEP, stream, since.version, self._version, msgspec.json.encode(state)
                )
        return Loaded(state, since.version)
