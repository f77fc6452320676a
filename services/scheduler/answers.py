"""First answers to commands that were accepted before, for a whole batch in one question."""

from collections.abc import Sequence
from typing import Final

import msgspec

from shared.contracts.base import Accepted
from shared.eventlog.log import EventLog
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

_FIND: Final = (
    "select idempotency_key, digest, position, result from commands_done "
    "where idempotency_key = any($1)"
)
_results: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict[str, object])


class Answers:
    """Looks up what was answered to commands under their idempotency keys."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log

    async def known(self, keys: Sequence[CommandKey]) -> dict[str, Accepted | Rejection]:
        """Return the first answers by key; a key of another request is refused.

        Raises LogUnavailable.
        """
        if not keys:
            return {}
        with reaching_postgres():
            rows = await self._log.pool.fetch(_FIND, [key.key for key in keys])
        digests = {key.key: key.digest for key in keys}
        found: dict[str, Accepted | Rejection] = {}
        for name, digest, position, result in rows:
            if digests[name] == digest:
                found[name] = Accepted(
                    service="scheduler", position=position, result=_results.decode(result)
                )
            else:
                found[name] = mismatch()
        return found


def mismatch() -> Rejection:
    """Return the refusal of an idempotency key that stands for another request."""
    return Rejection(
        kind="invalid",
        code="idempotency_mismatch",
        message="This idempotency key was used for another request.",
    )
