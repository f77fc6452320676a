"""Writes the bucket of desired state, for the one leader and for nobody who led before (D9).

A leader may sleep between being sure that it leads and its write reaching the server, for as long
as it takes another to lead and to say something else. So the bucket has a key that names who has
taken it, and every write says which revision of that key it relies on (a fencing token, checked by
the server): whoever takes the bucket makes the writes of all before it fail.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.js.errors import APIError

from shared.contracts.kernels import KernelSpec
from shared.contracts.subjects import DESIRED_STREAM, desired_key
from shared.kernel.ids import new_id
from shared.messaging.desired import COMPLETE, MISSING, PREFIX, reaching
from shared.messaging.streams import API_TIMEOUT_S, ensure_desired_bucket
from shared.observability.logging import get_logger

log = get_logger(__name__)

TAKEN_BY: Final = "_taken_by"
TOMBSTONE_S: Final = 3600.0
# fewer go one by one: a batch is written to disk with more ceremony than four messages
BATCH_MIN: Final = 5
_RELIES_ON: Final = "Nats-Expected-Last-Subject-Sequence"
_REVISION_OF: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
_WRONG_REVISION: Final = (10071, 10164)
_REMOVED: Final = {
    "KV-Operation": "PURGE",
    "Nats-Rollup": "sub",
    "Nats-TTL": f"{TOMBSTONE_S:.0f}s",
}

Change = tuple[str, bytes, dict[str, str]]


class DesiredLost(Exception):  # noqa: N818  # an expected outcome, not a fault
    """The bucket isn't the one that was taken: somebody else has taken it, or it is a new one."""


class DesiredWriter:
    """`take` the bucket, then write; one call at a time.

    Every method raises DesiredUnavailable where the server can't be reached; what was asked may or
    may not have happened. What writes raises DesiredLost where the bucket must be taken anew.
    """

    def __init__(self, nats: Client, epoch: int) -> None:
        self._js = nats.jetstream(timeout=API_TIMEOUT_S)
        self._nats = nats
        self._epoch = epoch
        self._revision: int | None = None

    @property
    def has_taken(self) -> bool:
        """Tell whether the bucket was taken and has not been found lost."""
        return self._revision is not None

    async def take(self, confirm: Callable[[], Awaitable[None]]) -> None:
        """Make the bucket obey this writer alone; makes the bucket when it is gone.

        `confirm` raises when somebody else leads. It is asked after it was read who has the bucket,
        so that who takes it later than that is noticed.
        """
        async with reaching():
            await ensure_desired_bucket(self._js)
            before = await self._last_revision()
        await confirm()
        taken = await self._publish(TAKEN_BY, str(self._epoch).encode(), before, {})
        log.info("desired_bucket_taken", epoch=self._epoch)
        self._revision = taken

    async def bring(self, wishes: Mapping[tuple[str, str], KernelSpec | None]) -> None:
        """Say what shall become of kernels, by agent and kernel id; None lets a node forget one.

        At most 1,000, which is what the server takes at once.
        """
        changes = [
            (desired_key(*key), b"", _REMOVED)
            if spec is None
            else (desired_key(*key), msgspec.json.encode(spec), {})
            for key, spec in wishes.items()
        ]
        await self._write(changes)

    async def remove_keys(self, keys: list[str]) -> None:
        """Let nodes forget kernels, by the keys that `DesiredState.all` has given."""
        await self._write([(key, b"", _REMOVED) for key in keys])

    async def mark_complete(self) -> None:
        """Say that everything desired is in the bucket; a new bucket needs it again."""
        await self._write([(COMPLETE, b"1", {})])

    async def _write(self, changes: list[Change]) -> None:
        revision = self._revision
        if revision is None:
            raise DesiredLost("the bucket has not been taken")
        if len(changes) >= BATCH_MIN:
            await self._write_at_once(changes, revision)
            return
        for key, value, headers in changes:
            await self._publish(key, value, revision, headers)

    async def _write_at_once(self, changes: list[Change], revision: int) -> None:
        """Publish changes as one atomic batch (ADR-50 of NATS), of which only the last is answered.

        A cluster refuses a second message that relies on a revision while one is on its way, so
        they can't simply be published side by side.
        """
        batch_id = new_id()
        for number, (key, value, headers) in enumerate(changes[:-1], start=1):
            batched = {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            if number == 1:
                batched |= _relying_on(revision)
            async with reaching():
                await self._nats.publish(PREFIX + key, value, headers=headers | batched)
        key, value, headers = changes[-1]
        commit = {
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(len(changes)),
            "Nats-Batch-Commit": "1",
        }
        await self._publish(key, value, None, headers | commit)

    async def _publish(
        self, key: str, value: bytes, revision: int | None, headers: dict[str, str]
    ) -> int:
        """Publish and return the new revision; raises DesiredLost when `revision` is not the last.

        Without a `revision` nothing is relied on, but what the headers say.
        """
        relied_on = {} if revision is None else _relying_on(revision)
        async with reaching():
            try:
                ack = await self._js.publish(PREFIX + key, value, headers=headers | relied_on)
            except MISSING as problem:
                self._revision = None
                raise DesiredLost("the bucket is gone") from problem
            except APIError as problem:
                if problem.err_code not in _WRONG_REVISION:
                    raise
                self._revision = None
                raise DesiredLost("the bucket was taken, or is a new one") from problem
        return ack.seq

    async def _last_revision(self) -> int:
        try:
            message = await self._js.get_last_msg(DESIRED_STREAM, PREFIX + TAKEN_BY)
        except MISSING:
            return 0
        return message.seq or 0


def _relying_on(revision: int) -> dict[str, str]:
    return {_RELIES_ON: str(revision), _REVISION_OF: PREFIX + TAKEN_BY}
