"""Gateways tell each other what they have accepted: counts by keypair, and used nonces.

The first request after a pause is told at once, what follows at the latest 50 ms later, and at
once again when more than an eighth of what is left of a key's limit is untold. While NATS is away
it is kept and told afterwards. Who hears that a message was missed reads the database instead
(`use_keeping`), which has it after a second; a nonce that is lost that way stays unknown, so
between gateways, and only there, a replay is possible for as long as its nonce is on its way.
"""

import asyncio
from collections import OrderedDict
from itertools import islice
from typing import Final

import msgspec
from nats.aio.client import Client

from services.gateway.auth.rate_limits import RateLimits
from services.gateway.auth.use_store import NONCES_MAX, Unsaved, UsedNonce
from shared.contracts.subjects import all_keypair_uses, keypair_use_subject
from shared.kernel.clock import Clock
from shared.messaging import telemetry
from shared.observability.logging import get_logger
from shared.security.nonces import NonceCache
from shared.security.signatures import WINDOW_S

log = get_logger(__name__)
INTERVAL_S: Final = 0.05
RETRY_S: Final = 1.0
COUNTS_AT_ONCE: Final = 5_000
NONCES_AT_ONCE: Final = 2_000
GATEWAYS_MAX: Final = 1_000
URGENT_SHARE: Final = 8


class UseTold(msgspec.Struct, frozen=True, kw_only=True):
    """Telemetry on `tel.gateway.use.<gateway>`: what a process has accepted since its last one."""

    gateway: str
    sequence: int
    counts: dict[str, int]
    nonces: tuple[UsedNonce, ...]


class Ledger:
    """What this process has accepted and not told, or not stored, yet."""

    def __init__(self) -> None:
        self.untold: dict[str, int] = {}
        self.untold_nonces: list[UsedNonce] = []
        self.unsaved = Unsaved()
        self.something_to_tell = asyncio.Event()
        self.urgent = asyncio.Event()
        self.something_to_save = asyncio.Event()

    def accepted(self, access_key: str, remaining: int | None) -> None:
        """Note an accepted request; `remaining` is what is left of the key's limit."""
        count = self.untold.get(access_key, 0) + 1
        self.untold[access_key] = count
        self.unsaved.add(access_key, 1)
        self.something_to_tell.set()
        self.something_to_save.set()
        if remaining is not None and count * URGENT_SHARE > remaining:
            self.urgent.set()

    def nonce_used(self, access_key: str, nonce: str, expires_at: float, now: float) -> None:
        """Note a used nonce. One that was signed ahead of our time must survive a restart."""
        used = UsedNonce(access_key, nonce, expires_at)
        if len(self.untold_nonces) < NONCES_MAX:
            self.untold_nonces.append(used)
        self.something_to_tell.set()
        if expires_at - WINDOW_S > now:
            self.unsaved.add_nonce(used)
            self.something_to_save.set()

    def deleted(self, access_key: str) -> None:
        """Note that a keypair is gone: when it was used last is of no interest any more."""
        self.unsaved.deleted.add(access_key)
        self.something_to_save.set()


class UseSharing:
    """Tells others what is in the ledger, and takes in what they tell."""

    def __init__(
        self, gateway: str, ledger: Ledger, limits: RateLimits, nonces: NonceCache, clock: Clock
    ) -> None:
        self.missed = asyncio.Event()
        self._gateway = gateway
        self._ledger = ledger
        self._limits = limits
        self._nonces = nonces
        self._clock = clock
        self._sequence = 0
        self._heard: OrderedDict[str, int] = OrderedDict()

    async def subscribe(self, nats: Client) -> None:
        """Listen to the others from now on."""
        await telemetry.subscribe(nats, all_keypair_uses(), UseTold, self.hear)

    async def run(self, nats: Client) -> None:
        """Tell the others until cancelled."""
        ledger = self._ledger
        while True:
            await ledger.something_to_tell.wait()
            ledger.something_to_tell.clear()
            ledger.urgent.clear()
            while message := self.next_message():
                if not await telemetry.publish(nats, keypair_use_subject(self._gateway), message):
                    self._take_back(message)
                    await asyncio.sleep(RETRY_S)
            try:
                async with asyncio.timeout(INTERVAL_S):
                    await ledger.urgent.wait()
            except TimeoutError:
                continue

    def next_message(self) -> UseTold | None:
        """Take what is to be told next out of the ledger; None when there is nothing."""
        ledger = self._ledger
        if not ledger.untold and not ledger.untold_nonces:
            return None
        counts = dict(islice(ledger.untold.items(), COUNTS_AT_ONCE))
        for access_key in counts:
            del ledger.untold[access_key]
        nonces = tuple(ledger.untold_nonces[:NONCES_AT_ONCE])
        del ledger.untold_nonces[:NONCES_AT_ONCE]
        self._sequence += 1
        return UseTold(gateway=self._gateway, sequence=self._sequence, counts=counts, nonces=nonces)

    def _take_back(self, message: UseTold) -> None:
        ledger = self._ledger
        self._sequence -= 1
        for access_key, count in message.counts.items():
            ledger.untold[access_key] = ledger.untold.get(access_key, 0) + count
        ledger.untold_nonces[:0] = message.nonces

    async def hear(self, told: UseTold) -> None:
        """Take in what another gateway has accepted."""
        if told.gateway == self._gateway:
            return
        if self._heard.get(told.gateway, 0) + 1 != told.sequence:
            self.missed.set()
        self._heard[told.gateway] = told.sequence
        self._heard.move_to_end(told.gateway)
        if len(self._heard) > GATEWAYS_MAX:
            self._heard.popitem(last=False)
        now, moment = self._clock.now(), self._clock.monotonic()
        for access_key, count in told.counts.items():
            self._limits.hear(access_key, count, moment)
            self._limits.touch(access_key, now)
        for access_key, nonce, expires_at in told.nonces:
            if not self._nonces.learn(access_key, nonce, expires=expires_at, now=now.timestamp()):
                log.warning("nonces_full", access_key=access_key)
