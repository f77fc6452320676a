"""Answers for kernels' logs: a piece at a time, waiting for more where asked to."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

from services.agents.node.domain.kernel import ENDED
from services.agents.node.inotify import FolderChanges
from services.agents.node.journal import Journal
from services.agents.node.runtime import KernelKey
from shared.contracts.kernels import KernelLogPiece, ReadKernelLog
from shared.contracts.subjects import node_log_subject

PIECE_MAX_BYTES: Final = 512 * 1024
WAIT_MAX_S: Final = 30.0
READERS_MAX: Final = 256
_log = structlog.get_logger(__name__)


class LogPlaces(Protocol):
    """Knows where a kernel's log lies."""

    def log_path(self, key: KernelKey) -> Path:
        """Return the path of the log, which may not exist."""
        ...


class LogServer:
    """Serves `node.<agent>.log`; at most `READERS_MAX` questions wait at a time."""

    def __init__(self, nats: Client, agent_id: str, journal: Journal, places: LogPlaces) -> None:
        """Answer for one agent."""
        self._nats = nats
        self._agent_id = agent_id
        self._journal = journal
        self._places = places
        self._changes: FolderChanges | None = None
        self._subscription: Subscription | None = None
        self._news = asyncio.Event()
        self._readers: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.json.Decoder(ReadKernelLog)

    async def start(self) -> None:
        """Take questions from now on."""
        self._changes = FolderChanges()
        self._subscription = await self._nats.subscribe(
            node_log_subject(self._agent_id), cb=self._receive
        )

    async def stop(self) -> None:
        """Take no more questions; those that wait stay without an answer."""
        if self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
            except Error as problem:
                _log.info("log_unsubscribe_failed", problem=repr(problem))
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        if self._changes is not None:
            self._changes.close()

    async def _receive(self, message: Msg) -> None:
        try:
            question = self._decoder.decode(message.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as problem:
            _log.warning("log_question_malformed", problem=str(problem))
            return
        if len(self._readers) >= READERS_MAX:
            question = msgspec.structs.replace(question, wait_s=0.0)
        reader = asyncio.create_task(self._answer(message, question))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _answer(self, message: Msg, question: ReadKernelLog) -> None:
        try:
            piece = await self.read(question)
            await message.respond(msgspec.json.encode(piece))
        except (Error, OSError, sqlite3.Error) as problem:
            _log.info("log_answer_lost", kernel=question.kernel_id, problem=repr(problem))

    async def read(self, question: ReadKernelLog) -> KernelLogPiece:
        """Return the asked piece; empty after the wait where nothing has come."""
        record = await self._journal.newest(question.kernel_id)
        offset = max(0, question.offset)
        if record is None:
            return KernelLogPiece(data=b"", next_offset=offset, ended=True, found=False)
        path = self._places.log_path(KernelKey(question.kernel_id, record.spec.attempt))
        limit = max(1, min(question.limit, PIECE_MAX_BYTES))
        wait_s = max(0.0, min(question.wait_s, WAIT_MAX_S))
        if wait_s == 0.0 or self._changes is None:
            return await self._read_now(path, question.kernel_id, offset, limit)
        try:
            async with asyncio.timeout(wait_s):
                return await self._read_when_there(path, question.kernel_id, offset, limit)
        except TimeoutError:
            return await self._read_now(path, question.kernel_id, offset, limit)

    async def _read_when_there(
        self, path: Path, kernel_id: str, offset: int, limit: int
    ) -> KernelLogPiece:
        while True:
            news = self._news
            with self._watch(path.parent) as changed:
                piece = await self._read_now(path, kernel_id, offset, limit)
                if piece.data or piece.ended:
                    return piece
                await _first_of(news, changed)

    @contextmanager
    def _watch(self, folder: Path) -> Iterator[asyncio.Event]:
        """Give an event for changes in a folder; one that never comes where there is no folder."""
        if self._changes is None or not folder.is_dir():
            yield asyncio.Event()
            return
        with self._changes.watch(folder) as changed:
            yield changed

    def notify(self) -> None:
        """Let everybody who waits look again: some kernel has changed."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _read_now(
        self, path: Path, kernel_id: str, offset: int, limit: int
    ) -> KernelLogPiece:
        # Whether it has ended must be known before the log is read, or its last bytes are missed.
        ended = await asyncio.to_thread(_has_end, path.parent)
        record = await self._journal.newest(kernel_id)
        ended = ended or record is None or record.phase in ENDED
        data = await asyncio.to_thread(_read_piece, path, offset, limit)
        if data is None:
            return KernelLogPiece(data=b"", next_offset=offset, ended=ended, found=not ended)
        whole = ended and len(data) < limit
        return KernelLogPiece(data=data, next_offset=offset + len(data), ended=whole)


async def _first_of(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _has_end(folder: Path) -> bool:
    return (folder / "exit.json").exists()


def _read_piece(path: Path, offset: int, limit: int) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.pread(fd, limit, offset)
    finally:
        os.close(fd)
