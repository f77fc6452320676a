"""Tells the users service that a keypair has begun to be refused: it is an event, once a burst."""

import asyncio
from typing import Final

from shared.contracts.base import Actor, Meta, Rejected
from shared.contracts.users import ReportRateLimited
from shared.kernel.ids import new_id
from shared.messaging.command_client import CommandClient
from shared.observability.logging import get_logger

log = get_logger(__name__)
WAITING_MAX: Final = 10_000
RETRY_FIRST_S: Final = 0.5
RETRY_LAST_S: Final = 30.0


class RateLimitReports:
    """Sends the reports in the background, again until the service has taken them."""

    def __init__(self, client: CommandClient) -> None:
        self._client = client
        self._waiting: dict[str, int] = {}
        self._noted = asyncio.Event()

    def note(self, access_key: str, limit: int) -> None:
        """Note that a key is being refused at its limit; beyond a bound the oldest is dropped."""
        self._waiting[access_key] = limit
        if len(self._waiting) > WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]
        self._noted.set()

    async def run(self) -> None:
        """Send until cancelled."""
        pause_s = RETRY_FIRST_S
        while True:
            await self._noted.wait()
            self._noted.clear()
            if await self._send_all():
                pause_s = RETRY_FIRST_S
                continue
            self._noted.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_LAST_S)

    async def _send_all(self) -> bool:
        """Send what waits; returns whether the service was there for all of it."""
        for access_key, limit in tuple(self._waiting.items()):
            reply = await self._client.send(
                ReportRateLimited(access_key=access_key, limit=limit),
                meta=Meta(actor=Actor(kind="service", id="gateway"), correlation_id=new_id()),
            )
            if isinstance(reply, Rejected):
                log.info(
                    "rate_limit_not_reported", access_key=access_key, code=reply.rejection.code
                )
                if reply.rejection.kind == "unavailable":
                    return False
            self._waiting.pop(access_key, None)
        return True
