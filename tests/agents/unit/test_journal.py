"""What the node remembers over its own deaths."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.agents.node.domain.kernel import Ending, Record
from services.agents.node.journal import Journal, JournalCorruptError
from services.agents.node.runtime import KernelKey
from shared.testing.clock import START
from tests.agents.unit.test_kernel_steps import RUN

DONE = Ending(phase="terminated", reason="task-finished", exit_code=0)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Journal]:
    journal = Journal(folder / "journal")
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


async def take(journal: Journal, kernel_id: str, attempt: int = 1) -> Record:
    spec = msgspec.structs.replace(RUN, kernel_id=kernel_id, attempt=attempt)
    return await journal.take(spec, START)


async def forget(journal: Journal, kernel_id: str) -> None:
    record = await take(journal, kernel_id)
    await journal.ended(record, DONE, START)
    await journal.forget(kernel_id)


async def test_a_node_is_the_same_over_restarts_and_another_with_another_folder(tmp_path):
    async with opened(tmp_path) as journal:
        first, boot = journal.incarnation, journal.boot
    async with opened(tmp_path) as journal:
        assert journal.incarnation == first
        assert journal.boot == boot + 1
    (tmp_path / "other").mkdir()
    async with opened(tmp_path / "other") as journal:
        assert journal.incarnation != first


async def test_a_change_and_its_report_are_there_together_after_a_restart(tmp_path):
    async with opened(tmp_path) as journal:
        record = await take(journal, "k")
        record = await journal.launching(record)
        await journal.running(record, START)
    async with opened(tmp_path) as journal:
        [found] = await journal.records()
        assert (found.phase, found.launch) == ("running", 1)
        reports = [one.report for one in await journal.waiting(10)]
        assert [(one.sequence, one.phase) for one in reports] == [(1, "preparing"), (2, "running")]
        assert not await journal.settled(KernelKey("k", 1))


async def test_accepted_reports_are_gone_and_refused_ones_are_not_sent_again(tmp_path):
    async with opened(tmp_path) as journal:
        record = await take(journal, "k")
        await journal.ended(record, DONE, START)
        first, second = await journal.waiting(10)
        await journal.accepted([first.number])
        assert await journal.backlog() == 1
        await journal.refused(second.number, "why")
        assert await journal.waiting(10) == []
        assert await journal.backlog() == 0
        assert await journal.settled(KernelKey("k", 1))


async def test_living_kernels_never_share_a_user_and_none_is_given_again_soon(tmp_path):
    async with opened(tmp_path) as journal:
        first, second = await take(journal, "a"), await take(journal, "b")
        await journal.ended(first, DONE, START)
        third = await take(journal, "c")
        assert len({first.user_index, second.user_index, third.user_index}) == 3


async def test_the_newest_attempt_stands_for_a_kernel_and_forgetting_keeps_that_it_ran(tmp_path):
    async with opened(tmp_path) as journal:
        await journal.ended(await take(journal, "k", 1), DONE, START)
        await journal.ended(await take(journal, "k", 2), DONE, START)
        assert [one.spec.attempt for one in await journal.records()] == [2]
        await journal.forget("k")
        assert await journal.records() == []
        newest = await journal.newest("k")
        assert newest is not None
        assert newest.spec.attempt == 2


async def test_only_forgotten_kernels_beyond_the_bound_are_purged_oldest_first(tmp_path):
    async with opened(tmp_path) as journal:
        for name in ("a", "b", "c"):
            await forget(journal, name)
        await take(journal, "living")
        keys = await journal.purgeable(1)
        assert len(keys) == 2
        assert KernelKey("living", 1) not in keys
        for key in keys:
            await journal.purged(key)
        assert await journal.purgeable(1) == []
        assert await journal.newest(keys[0].kernel_id) is not None


async def test_a_file_that_is_no_journal_is_refused_by_name(tmp_path):
    (tmp_path / "journal").write_bytes(b"not a database " * 1000)
    journal = Journal(tmp_path / "journal")
    with pytest.raises(JournalCorruptError, match="journal"):
        await journal.open()
    await journal.close()


async def test_what_is_written_is_on_the_disk_before_it_is_relied_on(tmp_path):
    async with opened(tmp_path) as journal:
        await take(journal, "k")
        other = sqlite3.connect(tmp_path / "journal")
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
        assert other.execute("select phase from kernels").fetchall() == [("preparing",)]
        other.close()
        assert (
            await journal._do(
                lambda file: file.execute("pragma synchronous").fetchone()[0] if file else None
            )
            == 2
        )
