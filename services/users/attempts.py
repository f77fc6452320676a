"""Remembers wrong guesses by address, in Postgres: restarts and other processes know them, too."""

import math
from datetime import timedelta
from functools import partial
from typing import Final

import asyncpg

from services.users.answers import FactsChanged
from services.users.domain.lockout import LOCK_S, NONE, Attempts, failed, locked_for_s
from shared.contracts.base import Meta
from shared.contracts.users import UserLoginBlocked
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Write
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger

TRIES_MAX: Final = 32
FORGOTTEN_AT_ONCE: Final = 10
_READ: Final = "select failures, last_at from login_attempts where fingerprint = $1"
# Both only if nobody else has counted or forgiven since it was read.
_COUNT_FIRST: Final = """
    insert into login_attempts (fingerprint, failures, last_at) values ($1, $2, $3)
    on conflict (fingerprint) do nothing returning failures
"""
_COUNT_NEXT: Final = """
    update login_attempts set failures = $2, last_at = $3
    where fingerprint = $1 and failures = $4 and last_at = $5 returning failures
"""
# Nobody asks for these any more; a few at a time, so that guessing at random fills no table.
_FORGET_OLD: Final = """
    delete from login_attempts where fingerprint in (
        select fingerprint from login_attempts where last_at < $1
        order by last_at limit $2 for update skip locked
    )
"""
_LIFT: Final = """
    delete from login_attempts
    where fingerprint in (select value from claims where kind = 'email' and owner = $1)
"""
_CLEAR: Final = "delete from login_attempts where fingerprint = $1 returning failures, last_at"
logger = get_logger(__name__)


class FailedLogins:
    """Counts wrong guesses under the keyed hash of the address.

    Of the guesses that are made at the same time no more get an answer than of those made one
    after the other: a right one asks again (`forgive`) in the transaction that lets it in.
    """

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def refusal(self, fingerprint: str) -> Rejection | None:
        """Return why an address may make no guess at present; None when it may."""
        locked_s = locked_for_s(await self._read(fingerprint), self._clock.now())
        return _locked(locked_s) if locked_s > 0 else None

    async def add(self, fingerprint: str, user_id: str | None, meta: Meta) -> Rejection | None:
        """Count a wrong guess; a refusal says that the guess must get this answer instead.

        The one that locks the address of a known user is recorded as an event.
        """
        for _ in range(TRIES_MAX):
            before, now = await self._read(fingerprint), self._clock.now()
            locked_s = locked_for_s(before, now)
            if locked_s > 0:
                return _locked(locked_s)
            after = failed(before, now)
            try:
                if after.locks and user_id is not None:
                    await self._block(fingerprint, user_id, before, after, meta)
                else:
                    with reaching_postgres():
                        await self._count(fingerprint, before, after, self._log.pool)
            except FactsChanged:
                continue
            if before == NONE:
                await self._forget_old()
            return None
        return unavailable("busy", "Too many log-ins for this address at this moment; try again.")

    async def forgive(self, connection: asyncpg.Connection, fingerprint: str, user_id: str) -> None:
        """Forget the wrong guesses, in the transaction of a right one.

        Raises FactsChanged when they have come to lock the address meanwhile.
        """
        row = await connection.fetchrow(_CLEAR, fingerprint)
        if row is not None and locked_for_s(Attempts(*row), self._clock.now()) > 0:
            raise FactsChanged(user_id)

    async def _block(
        self, fingerprint: str, user_id: str, before: Attempts, after: Attempts, meta: Meta
    ) -> None:
        blocked = UserLoginBlocked(user_id=user_id, until=after.until)
        await self._log.append(
            [Write(stream_name("user", user_id), None, (blocked,))],
            meta,
            within=partial(self._count, fingerprint, before, after),
        )
        logger.warning("login_blocked", user_id=user_id)

    async def _read(self, fingerprint: str) -> Attempts:
        with reaching_postgres():
            row = await self._log.pool.fetchrow(_READ, fingerprint)
        return NONE if row is None else Attempts(*row)

    async def _count(
        self,
        fingerprint: str,
        before: Attempts,
        after: Attempts,
        where: asyncpg.Connection | asyncpg.Pool,
    ) -> None:
        counted = (fingerprint, after.failures, after.last_at)
        if before == NONE:
            done = await where.fetchval(_COUNT_FIRST, *counted)
        else:
            done = await where.fetchval(_COUNT_NEXT, *counted, before.failures, before.last_at)
        if done is None:
            raise FactsChanged("somebody")

    async def _forget_old(self) -> None:
        old = self._clock.now() - timedelta(seconds=LOCK_S)
        with reaching_postgres():
            await self._log.pool.execute(_FORGET_OLD, old, FORGOTTEN_AT_ONCE)


async def lift(connection: asyncpg.Connection, user_id: str) -> None:
    """Forget the wrong guesses for a user, who has been given another password."""
    await connection.execute(_LIFT, user_id)


def _locked(locked_s: float) -> Rejection:
    return Rejection(
        kind="rate_limited",
        code="login_locked",
        message="Too many wrong passwords or codes; try again later.",
        retry_after_s=math.ceil(locked_s),
    )
