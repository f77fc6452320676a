"""The same key, the same answer: what a write was answered is kept and given again.

The services keep a command's result under its key, so nothing is done twice even if this table is
lost; what is kept here is the answer itself, as it was given the first time. It may hold a secret
that is shown once, so it is sealed.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused, malformed
from shared.eventlog.records import CommandKey
from shared.kernel.clock import Clock
from shared.kernel.rejections import FieldError, Rejection
from shared.observability.logging import get_logger
from shared.security.sealing import Keyring, SealBroken

log = get_logger(__name__)
KEY_CHARS_MAX: Final = 255
KEPT_FOR: Final = timedelta(days=7)
_PURPOSE: Final = "idempotent-answer"
_HEADER: Final = "idempotency-key"
_KEEP: Final = (
    "insert into idempotent_answers (key, digest, status, body, answered_at, about)"
    " values ($1, $2, $3, $4, $5, $6) on conflict (key) do nothing returning true"
)
# read from the text, as every generation of the read model has it; a quote in a name is escaped
_FORGET_ERASED: Final = (
    "delete from idempotent_answers where about <> '{}' and about && (select"
    " coalesce(array_agg(id), '{}') from users where doc like '%\"erased\":true%')"
)


class Answered(NamedTuple):
    """A write's answer: what it says, with which status, and which users it says anything of."""

    status: int
    body: bytes
    about: tuple[str, ...] = ()


Perform = Callable[[CommandKey | None], Awaitable[Answered]]


class IdempotentAnswers:
    """First answers by caller and key."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring, clock: Clock) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock

    async def once(self, call: Call, perform: Perform) -> Answered:
        """Perform a write, or return what it was answered before under the same key.

        Raises Refused: 400 for a key that cannot be one, 422 when the key stands for another
        request. Refusals and 202 are not kept: the next attempt may do better.
        """
        key = call.headers.get(_HEADER)
        if key is None:
            return await perform(None)
        if not (1 <= len(key) <= KEY_CHARS_MAX and key.isascii() and key.isprintable()):
            message = f"An Idempotency-Key is 1 to {KEY_CHARS_MAX} printable characters."
            error = FieldError("Idempotency-Key", "malformed", message)
            raise Refused(malformed("malformed_header", message, (error,)))
        scoped = f"{call.caller().user_id}:{key}"
        digest = self._digest(call)
        known = await self._find(scoped, digest)
        if known is not None:
            return known
        answered = await perform(CommandKey(scoped, digest))
        if answered.status not in {200, 201, 204}:
            return answered
        if await self._keep(scoped, digest, answered):
            return answered
        # somebody else was answered first under the same key, at the same time
        return await self._find(scoped, digest) or answered

    async def forget_old(self) -> int:
        """Delete what is older than a week; returns how many."""
        before: datetime = self._clock.now() - KEPT_FOR
        status: str = await self._pool.execute(
            "delete from idempotent_answers where answered_at < $1", before
        )
        return int(status.rpartition(" ")[2])

    async def forget_erased(self) -> int:
        """Delete what is about persons who have been erased; returns how many."""
        status: str = await self._pool.execute(_FORGET_ERASED)
        return int(status.rpartition(" ")[2])

    def _digest(self, call: Call) -> str:
        """Return what tells requests apart; keyed, as a body may hold a password."""
        text = f"{call.method}\n{call.path}\n{call.query}\n{call.body.hex()}"
        return self._keyring.fingerprint("request", text)

    async def _find(self, scoped: str, digest: str) -> Answered | None:
        row = await self._pool.fetchrow(
            "select digest, status, body from idempotent_answers where key = $1", scoped
        )
        if row is None:
            return None
        if row["digest"] != digest:
            raise Refused(mismatch())
        try:
            body = self._keyring.open(_PURPOSE, row["body"], context=scoped)
        except SealBroken:  # the services know the key, too, and do nothing twice
            log.warning("answer_unreadable")
            return None
        return Answered(row["status"], body)

    async def _keep(self, scoped: str, digest: str, answered: Answered) -> bool:
        sealed = self._keyring.seal(_PURPOSE, answered.body, context=scoped)
        is_first = await self._pool.fetchval(
            _KEEP,
            scoped,
            digest,
            answered.status,
            sealed,
            self._clock.now(),
            list(answered.about),
        )
        return bool(is_first)


def mismatch() -> Rejection:
    """Return the refusal of a key that was used for another request."""
    message = "This Idempotency-Key was used for another request; use a new one."
    return Rejection(kind="invalid", code="idempotency_mismatch", message=message)
