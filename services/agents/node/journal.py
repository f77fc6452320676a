"""What the node must not forget, in SQLite, durable before anything is done.

A change of a kernel and the report that tells of it are written together, so a report exists
exactly when its change does, and stays until the scheduler has taken it.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from services.agents.node.domain.kernel import Ending, Record, StopKind
from services.agents.node.journal_tables import (
    ROWS_KEPT,
    SCHEMA,
    add_report,
    decode_record,
    newest_record,
    next_user,
    put_record,
)
from services.agents.node.runtime import KernelKey
from shared.contracts.kernels import KernelReport, KernelSpec
from shared.kernel.ids import new_id

_T = TypeVar("_T")
_reports = msgspec.json.Decoder(KernelReport)


class JournalCorruptError(Exception):
    """The journal is not one of ours or is damaged; the text tells which file."""


class Waiting(NamedTuple):
    """A report that has not been accepted yet."""

    number: int
    report: KernelReport


class Journal:
    """One thread owns the file; every method returns when its change is on the disk."""

    def __init__(self, path: Path) -> None:
        """Name the file; `open` makes it."""
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._file: sqlite3.Connection | None = None
        self.incarnation = ""
        self.boot = 0
        self.reported = asyncio.Event()

    async def open(self) -> None:
        """Open the file; a new one gets a new incarnation id. Raises `JournalCorruptError`."""
        self.incarnation, self.boot = await self._do(self._open)

    def _open(self, _: sqlite3.Connection | None = None) -> tuple[str, int]:
        try:
            file = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
            file.execute("pragma journal_mode = wal")
            file.execute("pragma synchronous = full")
            file.executescript(SCHEMA)
            with file:
                file.execute("begin immediate")
                file.execute(
                    "insert into facts values ('incarnation', ?) on conflict do nothing",
                    (new_id(),),
                )
                file.execute(
                    "insert into facts values ('boot', 1)"
                    " on conflict do update set value = value + 1"
                )
            facts = dict(file.execute("select name, value from facts").fetchall())
        except sqlite3.DatabaseError as error:
            raise JournalCorruptError(f"{self._path}: {error}") from error
        self._file = file
        return facts["incarnation"], int(facts["boot"])

    async def close(self) -> None:
        """Close the file; the journal is of no use any more."""
        if self._file is not None:
            await self._do(lambda file: file.close() if file else None)
            self._file = None
        self._thread.shutdown()

    async def _do(self, work: Callable[[sqlite3.Connection | None], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: work(self._file)
        )

    async def _change(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def run(file: sqlite3.Connection | None) -> _T:
            if file is None:
                raise RuntimeError("the journal is not open")
            with file:
                file.execute("begin immediate")
                return work(file)

        return await self._do(run)

    async def records(self) -> list[Record]:
        """Return the newest attempt of every kernel that is not forgotten."""
        rows = await self._change(
            lambda file: file.execute(
                "select record, max(attempt) from kernels where not forgotten group by kernel_id"
            ).fetchall()
        )
        return [decode_record(row[0]) for row in rows]

    async def newest(self, kernel_id: str) -> Record | None:
        """Return the newest attempt that was ever here of a kernel, forgotten or not."""
        return await self._change(lambda file: newest_record(file, kernel_id))

    async def take(self, spec: KernelSpec, at: datetime) -> Record:
        """Record that a kernel has been taken up, with a user index of its own."""

        def work(file: sqlite3.Connection) -> Record:
            record = Record(spec=spec, phase="preparing", user_index=next_user(file))
            put_record(file, record)
            add_report(file, record, at)
            return record

        return self._tell(await self._change(work))

    async def decline(self, spec: KernelSpec, ending: Ending, at: datetime) -> Record:
        """Record that a kernel has ended without ever having been taken up."""

        def work(file: sqlite3.Connection) -> Record:
            record = Record(spec=spec, phase=ending.phase, user_index=0)
            put_record(file, record, ended_at=at.timestamp())
            add_report(file, record, at, ending)
            return record

        return self._tell(await self._change(work))

    async def launching(self, record: Record) -> Record:
        """Record that the next launch is about to be made."""
        return await self._replace(record, launch=record.launch + 1)

    async def running(self, record: Record, at: datetime) -> Record:
        """Record that the kernel runs since `at`."""

        def work(file: sqlite3.Connection) -> Record:
            changed = msgspec.structs.replace(record, phase="running")
            put_record(file, changed)
            add_report(file, changed, at)
            return changed

        return self._tell(await self._change(work))

    async def stopping(self, record: Record, kind: StopKind, kill_at: datetime) -> Record:
        """Record that the kernel is about to be stopped, by force from `kill_at` on."""
        return await self._replace(record, stop=kind, kill_at=kill_at)

    async def ended(self, record: Record, ending: Ending, at: datetime) -> Record:
        """Record how the kernel ended."""

        def work(file: sqlite3.Connection) -> Record:
            changed = msgspec.structs.replace(record, phase=ending.phase)
            put_record(file, changed, ended_at=at.timestamp())
            add_report(file, changed, at, ending)
            return changed

        return self._tell(await self._change(work))

    async def _replace(self, record: Record, **fields: object) -> Record:
        changed = msgspec.structs.replace(record, **fields)
        await self._change(lambda file: put_record(file, changed))
        return changed

    def _tell(self, record: Record) -> Record:
        self.reported.set()
        return record

    async def settled(self, key: KernelKey) -> bool:
        """Tell whether every report of the attempt has been accepted."""
        count = await self._change(
            lambda file: file.execute(
                "select count(*) from reports where kernel_id = ? and attempt = ?"
                " and refusal is null",
                key,
            ).fetchone()[0]
        )
        return int(count) == 0

    async def forget(self, kernel_id: str) -> None:
        """Leave the kernel out of what is known here; that it ran is kept."""
        await self._change(
            lambda file: file.execute(
                "update kernels set forgotten = 1 where kernel_id = ?", (kernel_id,)
            )
        )

    async def waiting(self, limit: int) -> list[Waiting]:
        """Return the oldest reports that nobody has accepted yet."""
        rows = await self._change(
            lambda file: file.execute(
                "select id, body from reports where refusal is null order by id limit ?", (limit,)
            ).fetchall()
        )
        return [Waiting(row[0], _reports.decode(row[1])) for row in rows]

    async def backlog(self) -> int:
        """Return how many reports nobody has accepted yet."""
        count = await self._change(
            lambda file: file.execute(
                "select count(*) from reports where refusal is null"
            ).fetchone()[0]
        )
        return int(count)

    async def accepted(self, numbers: Sequence[int]) -> None:
        """Drop reports that are durable elsewhere now."""
        await self._change(
            lambda file: file.executemany(
                "delete from reports where id = ?", [(number,) for number in numbers]
            )
        )

    async def refused(self, number: int, why: str) -> None:
        """Keep a report that will never be accepted, but send it no more."""
        await self._change(
            lambda file: file.execute("update reports set refusal = ? where id = ?", (why, number))
        )

    async def purgeable(self, keep: int) -> list[KernelKey]:
        """Return forgotten attempts whose files may go, oldest first, beyond the newest `keep`."""
        rows = await self._change(
            lambda file: file.execute(
                "select kernel_id, attempt from kernels where forgotten and not purged"
                " order by ended_at desc limit -1 offset ?",
                (keep,),
            ).fetchall()
        )
        return [KernelKey(*row) for row in reversed(rows)]

    async def purged(self, key: KernelKey) -> None:
        """Record that an attempt's files are gone; that it ran is kept for a long time."""

        def work(file: sqlite3.Connection) -> None:
            file.execute("update kernels set purged = 1 where kernel_id = ? and attempt = ?", key)
            file.execute(
                "delete from kernels where purged and rowid <="
                " (select max(rowid) from kernels) - ?",
                (ROWS_KEPT,),
            )

        await self._change(work)
