"""Keeps the use of keypairs in the database, so that a restart forgets at most a second of it."""

import asyncio
from datetime import datetime
from typing import Final

from services.gateway.auth.rate_limits import RateLimits
from services.gateway.auth.use_sharing import Ledger
from services.gateway.auth.use_store import Unsaved, UseStore
from services.gateway.http.outages import OUTAGES
from shared.kernel.clock import Clock
from shared.observability.logging import get_logger
from shared.security.nonces import NonceCache

log = get_logger(__name__)
SAVE_EVERY_S: Final = 1.0
STORED_AFTER_S: Final = 2.5
FORGET_EVERY_S: Final = 60.0
LAST_SAVE_S: Final = 5.0


class UseKeeping:
    """Stores what is in the ledger, reads what was stored, and forgets what is old."""

    def __init__(self, store: UseStore, ledger: Ledger, limits: RateLimits, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._limits = limits
        self._clock = clock

    async def load(self, nonces: NonceCache) -> None:
        """Take in what was stored before this process began, and by the others until now."""
        now = self._clock.now().timestamp()
        for access_key, nonce, expires_at in await self._store.nonces():
            nonces.learn(access_key, nonce, expires=expires_at, now=now)
        await self._restore()

    async def run(self) -> None:
        """Store until cancelled, at most once a second, and once more at the end."""
        forgotten_at = self._clock.monotonic() - FORGET_EVERY_S
        try:
            while True:
                await self._ledger.something_to_save.wait()
                self._ledger.something_to_save.clear()
                try:
                    await self._save()
                    if self._clock.monotonic() - forgotten_at >= FORGET_EVERY_S:
                        forgotten_at = self._clock.monotonic()
                        await self._store.forget_old()
                except OUTAGES as problem:
                    log.warning("keypair_use_not_stored", problem=repr(problem)[:200])
                    self._ledger.something_to_save.set()
                await asyncio.sleep(SAVE_EVERY_S)
        finally:
            await self._save_the_last()

    async def read_what_was_missed(self, missed: asyncio.Event) -> None:
        """Read the others' counts again whenever one of their messages was missed."""
        missed.set()  # what was told while this process began may not have been stored yet
        while True:
            await missed.wait()
            missed.clear()
            await asyncio.sleep(STORED_AFTER_S)  # by then it is stored, if it ever will be
            try:
                await self._restore()
            except OUTAGES as problem:
                log.warning("keypair_use_not_read", problem=repr(problem)[:200])
                missed.set()

    async def _restore(self) -> None:
        stored = await self._store.accepted_by_others()
        self._limits.restore(stored, self._clock.monotonic())

    async def _save(self) -> None:
        unsaved, self._ledger.unsaved = self._ledger.unsaved, Unsaved()
        if not unsaved:
            return
        saving = asyncio.create_task(self._store.save(unsaved, self._used_at))
        try:
            await asyncio.shield(saving)
        except BaseException:
            # cancelled in the middle of it: only its end tells whether it has been stored
            await asyncio.wait((saving,), timeout=LAST_SAVE_S)
            if saving.cancel() or saving.cancelled() or saving.exception() is not None:
                unsaved.merge(self._ledger.unsaved)
                self._ledger.unsaved = unsaved
            raise

    async def _save_the_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_SAVE_S):
                await self._save()
        except OUTAGES as problem:
            log.warning("keypair_use_not_stored", problem=repr(problem)[:200])

    def _used_at(self, access_key: str) -> datetime:
        return self._limits.last_used_at(access_key) or self._clock.now()
