"""The desired state of the nodes: a JetStream bucket, `<agent>.<kernel>` -> KernelSpec (D9).

The bucket holds nothing that the scheduler's log doesn't say; when it is lost, it is filled again.
A half filled one looks like many kernels nobody wants any more, so the scheduler marks it as
complete once it has put everything (`desired_writer.py`), and a watcher gives out no complete view
before it has seen that mark.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple, TypeAlias

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, NoStreamResponseError, NotFoundError

from shared.contracts.kernels import KernelSpec
from shared.contracts.subjects import DESIRED_BUCKET, DESIRED_STREAM, token
from shared.messaging.reader import Delivery, ReaderLostError, StreamReader
from shared.messaging.streams import API_TIMEOUT_S, ensure_desired_bucket
from shared.observability.logging import get_logger

log = get_logger(__name__)

PREFIX: Final = f"$KV.{DESIRED_BUCKET}."
COMPLETE: Final = "_complete"
RETRY_MIN_S: Final = 0.1
RETRY_MAX_S: Final = 2.0
MISSING: Final = (NoStreamResponseError, NotFoundError, BucketNotFoundError)
_GONE: Final = ("DEL", "PURGE")
_decoder = msgspec.json.Decoder(KernelSpec)


class DesiredUnavailable(Exception):  # noqa: N818  # an expected outcome, not a fault
    """The bucket cannot be reached; what was asked may or may not have happened."""


class Wanted(NamedTuple):
    """The desired state names a kernel."""

    spec: KernelSpec


class Dropped(NamedTuple):
    """The desired state has named a kernel and does not any more."""

    kernel_id: str


class Complete(NamedTuple):
    """Everything that is desired of this agent has been seen; `kernel_ids` names it all."""

    kernel_ids: frozenset[str]


DesiredChange: TypeAlias = Wanted | Dropped | Complete


class DesiredState:
    """Reads the bucket; every method raises DesiredUnavailable without a server."""

    def __init__(self, nats: Client) -> None:
        self._nats = nats
        self._js = nats.jetstream(timeout=API_TIMEOUT_S)

    async def is_complete(self) -> bool:
        """Tell whether the bucket exists and was marked since it was made."""
        async with reaching():
            try:
                bucket = await self._js.key_value(DESIRED_BUCKET)
                await bucket.get(COMPLETE)
            except MISSING:
                return False
        return True

    async def all(self) -> dict[str, KernelSpec]:
        """Return every spec by its key (`<agent>.<kernel>`), making the bucket when it is gone.

        A value that isn't a spec counts as absent, so that it is put anew or removed.
        """
        async with reaching():
            await ensure_desired_bucket(self._js)
            found: dict[str, KernelSpec] = {}
            async with StreamReader(
                self._nats, DESIRED_STREAM, newest_of=(f"{PREFIX}*.*",)
            ) as reader:
                while not reader.is_caught_up:
                    for delivery in await reader.next():
                        key, spec = delivery.subject.removeprefix(PREFIX), _spec(delivery)
                        found.pop(key, None)
                        if spec is not None:
                            found[key] = spec
        return found

    async def watch(self, agent_id: str) -> AsyncIterator[DesiredChange]:
        """Yield what is desired of an agent and every change to it, for ever.

        Each time the watch is set up (at first, after a reconnect, after the bucket was lost) all
        that is wanted comes again, then `Complete` as soon as the bucket is marked so.
        """
        pause_s = RETRY_MIN_S
        told = ""
        while True:
            try:
                async for change in self._watch_once(agent_id):
                    pause_s, told = RETRY_MIN_S, ""
                    yield change
            except ReaderLostError as problem:
                if told != str(problem):
                    log.info("desired_watch_interrupted", agent_id=agent_id, problem=str(problem))
                told = str(problem)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)

    async def _watch_once(self, agent_id: str) -> AsyncIterator[DesiredChange]:
        mark = PREFIX + COMPLETE
        mine = f"{PREFIX}{token(agent_id)}."
        wanted: set[str] = set()
        is_marked = is_told = False
        async with StreamReader(self._nats, DESIRED_STREAM, newest_of=(f"{mine}*", mark)) as reader:
            while True:
                if is_marked and reader.is_caught_up and not is_told:
                    is_told = True
                    yield Complete(frozenset(wanted))
                for delivery in await reader.next():
                    if delivery.subject == mark:
                        is_marked = not _is_gone(delivery)
                        continue
                    spec = _spec(delivery)
                    if spec is not None:
                        wanted.add(spec.kernel_id)
                        yield Wanted(spec)
                    elif _is_gone(delivery):
                        kernel_id = delivery.subject.removeprefix(mine)
                        wanted.discard(kernel_id)
                        yield Dropped(kernel_id)


class reaching:  # noqa: N801  # reads as a statement: async with reaching()
    """Turns every sign that the bucket is away into DesiredUnavailable."""

    async def __aenter__(self) -> None:
        """Nothing is to be done before."""

    async def __aexit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        """Raise DesiredUnavailable in place of what says so."""
        if isinstance(problem, NatsError | ReaderLostError | TimeoutError | OSError):
            raise DesiredUnavailable(
                f"the desired state can't be reached: {problem!r}"
            ) from problem


def _is_gone(delivery: Delivery) -> bool:
    return delivery.headers.get("KV-Operation") in _GONE or "Nats-Marker-Reason" in delivery.headers


def _spec(delivery: Delivery) -> KernelSpec | None:
    if _is_gone(delivery):
        return None
    try:
        return _decoder.decode(delivery.data)
    except msgspec.DecodeError as problem:
        log.error("desired_unreadable", key=delivery.subject, problem=str(problem))  # noqa: TRY400
        return None
