"""Tasks in the database: who runs them, what is shown once, and what is forgotten when."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from services.gateway.auth.directory import Directory, KnownUser
from services.gateway.http.problems import Refused
from services.gateway.task_runner import TaskRunner
from services.gateway.task_table import NewTask, Piece, TaskTable
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey
from shared.kernel.clock import SystemClock
from shared.kernel.ids import new_id
from shared.kernel.rejections import invalid, unavailable
from shared.security.sealing import Keyring
from tests.gateway.integration.harness import eventually

KIND = "test"  # the gateway that is running knows no such tasks, and so leaves them alone


@asynccontextmanager
async def table_of(stack):
    pool = await open_pool(stack.urls["gateway"], name="tester", max_size=2)
    try:
        yield TaskTable(pool, stack.keyring, SystemClock()), pool
    finally:
        await pool.close()


def new(owner, key=None, total=2):
    return NewTask(owner, KIND, total, "things", b"content", key)


async def forget_lease(pool, task_id):
    sql = "update tasks set seen_at = now() - interval '1 hour' where task_id = $1"
    await pool.execute(sql, task_id)


async def test_a_task_has_one_runner_and_whoever_lost_it_keeps_nothing(stack):
    owner = new_id()
    async with table_of(stack) as (table, pool):
        task_id = await table.add(new(owner))
        first = await table.claim("a", [KIND])
        assert (first.task_id, first.content, first.done) == (task_id, b"content", 0)
        assert await table.claim("b", [KIND]) is None
        assert await table.keep(first, "a", 0, Piece([{"n": 0}], [{"s": 0}])) == "go_on"
        await forget_lease(pool, task_id)
        second = await table.claim("b", [KIND])
        assert second.done == 1
        assert await table.keep(first, "a", 1, Piece([{"n": 9}], [{"s": 9}])) == "lost"
        assert await table.beat(first, "a") == "lost"
        await table.end(first, "a", "failed", "no")
        assert await table.keep(second, "b", 1, Piece([{"n": 1}], [{"s": 1}])) == "go_on"
        await table.end(second, "b", "done", "")
        row = await table.read(owner, task_id)
        assert (row.status, row.done) == ("done", 2)
        assert await table.read(new_id(), task_id) is None
        assert await table.claim("c", [KIND]) is None


async def test_what_is_shown_once_stays_until_it_has_been_used_and_is_then_gone(stack):
    async with table_of(stack) as (table, pool):
        task_id = await table.add(new(new_id()))
        task = await table.claim("a", [KIND])
        for first in (0, 1):
            await table.keep(task, "a", first, Piece([{"n": first}], [{"secret": first}]))
        await table.end(task, "a", "done", "")

        async def use(pieces):
            return table.open_pieces(task_id, pieces)

        async def fail(_):
            raise Refused(unavailable("overloaded", "Later.", 1))

        with pytest.raises(Refused):
            await table.take_pieces(task_id, fail)
        both = [{"n": 0, "secret": 0}, {"n": 1, "secret": 1}]
        assert await table.take_pieces(task_id, use) == both
        assert await table.take_pieces(task_id, use) == [{"n": 0}, {"n": 1}]
        kept = await pool.fetchrow("select * from tasks where task_id = $1", task_id)
        assert kept["input"] is None
        assert "secret" not in str(await pool.fetch("select * from task_pieces"))


async def test_in_time_secrets_are_forgotten_and_then_the_task_itself(stack):
    owner, now = new_id(), SystemClock().now()
    async with table_of(stack) as (table, _):
        over, running = await table.add(new(owner)), await table.add(new(owner))
        task = await table.claim("a", [KIND])
        assert task.task_id == over
        await table.keep(task, "a", 0, Piece([{"n": 0}], [{"secret": 0}]))
        await table.end(task, "a", "cancelled", "")
        soon, long_ago = now + timedelta(hours=1), now - timedelta(hours=1)
        await table.forget(shown_before=soon, ended_before=long_ago)

        async def use(pieces):
            return [piece.shown_once for piece in pieces]

        assert await table.take_pieces(over, use) == [None]
        await table.forget(shown_before=soon, ended_before=soon)
        assert await table.read(owner, over) is None
        assert (await table.read(owner, running)).status == "running"
        other = await table.claim("a", [KIND])
        await table.end(other, "a", "done", "")


async def test_a_key_stands_for_one_task_and_one_request(stack):
    key = CommandKey(f"owner:{new_id()}", "digest")
    async with table_of(stack) as (table, _):
        task_id = await table.add(new("owner", key))
        assert await table.add(new("owner", key)) == task_id
        with pytest.raises(Refused) as caught:
            await table.add(new("owner", CommandKey(key.key, "another")))
        assert caught.value.rejection.code == "idempotency_mismatch"
        task = await table.claim("a", [KIND])
        assert await table.ask_cancel("owner", task_id)
        assert await table.beat(task, "a", "waiting") == "cancel"
        await table.end(task, "a", "cancelled", "")
        assert not await table.ask_cancel("owner", task_id)


async def test_what_was_sealed_under_a_key_that_is_gone_has_failed(stack):
    owner = new_id()
    async with table_of(stack) as (table, pool):
        task_id = await table.add(new(owner))
        other = TaskTable(pool, Keyring.generate(), SystemClock())
        assert await other.claim("a", [KIND]) is None
        row = await table.read(owner, task_id)
        assert (row.status, row.error) == ("failed", "task_unreadable")


class Refusing:
    """Work that is away at first, and then refused for good."""

    action = "users.bulk"

    def __init__(self):
        self.answers = [unavailable("away", "Away."), invalid("x", "too_much", "Ask for less.")]

    async def piece(self, _task, _first):
        raise Refused(self.answers.pop(0))

    async def visible(self, _task, _done):
        """Nothing is to be seen."""


async def test_work_that_is_away_is_asked_again_and_work_that_is_refused_for_good_is_not(stack):
    owner, work, directory = new_id(), Refusing(), Directory()
    directory.users[owner] = KnownUser(owner, "superadmin", "active", "default")
    async with table_of(stack) as (table, _):
        task_id = await table.add(new(owner))
        running = asyncio.create_task(
            TaskRunner(table, {KIND: work}, directory, SystemClock()).run()
        )
        try:
            row = await eventually(
                lambda: table.read(owner, task_id), lambda row: row.status != "running"
            )
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert (row.status, row.error, row.done) == ("failed", "invalid_request", 0)
    assert "Ask for less." in row.message
    assert work.answers == []
