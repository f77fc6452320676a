"""Tells the scheduler which sessions are used, so that none is ended as idle that is.

A session is told of at once, and then at most every five seconds; one of which a stream is open is
told of again for as long as it is. What is lost is lost: the next word comes soon.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nats.aio.client import Client

from shared.contracts.activity import SessionActivity
from shared.contracts.subjects import session_activity_subject
from shared.kernel.clock import Clock
from shared.messaging import telemetry

INTERVAL_S: Final = 5.0
TOUCHED_MAX: Final = 50_000


class SessionUse:
    """What of sessions is used here: streams that are open, and what was asked for of late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._touched: set[str] = set()
        self._something = asyncio.Event()

    def touch(self, session_id: str) -> None:
        """Note that somebody has used a session."""
        if len(self._touched) < TOUCHED_MAX:
            self._touched.add(session_id)
            self._something.set()

    @contextmanager
    def stream(self, session_id: str) -> Iterator[None]:
        """Have a session count as used for as long as this goes on."""
        self._open[session_id] += 1
        self.touch(session_id)
        try:
            yield
        finally:
            self._open[session_id] -= 1
            if not self._open[session_id]:
                del self._open[session_id]
            self.touch(session_id)

    def take(self) -> list[SessionActivity]:
        """Return what is to be told now, and begin to note anew."""
        self._something.clear()
        touched, self._touched = self._touched, set()
        now = self._clock.now()
        return [
            SessionActivity(session_id=one, at=now, open_streams=self._open.get(one, 0))
            for one in sorted(touched | self._open.keys())
        ]

    async def run(self, nats: Client) -> None:
        """Tell until cancelled."""
        while True:
            await self._something.wait()
            for activity in self.take():
                if not await telemetry.publish(nats, session_activity_subject(), activity):
                    self.touch(activity.session_id)
            # the rate limit, and how often an open stream is told of
            await asyncio.sleep(INTERVAL_S)
            if self._open:
                self._something.set()
