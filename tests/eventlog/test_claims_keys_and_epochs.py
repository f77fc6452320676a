"""Names with one owner, commands answered once, writers that have been replaced."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.eventlog.appending import CommandResult
from shared.eventlog.housekeeping import forget_old_answers
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import (
    AppendRefusedError,
    ClaimTaken,
    CommandRepeated,
    IdempotencyMismatch,
    StaleEpoch,
)
from shared.eventlog.records import Appended, Claim, CommandKey
from shared.testing.clock import FakeClock
from tests.eventlog.conftest import META, append, write

OpenLog = Callable[[], Awaitable[EventLog]]


async def test_a_claim_has_one_winner(open_log: OpenLog):
    logs = [await open_log() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(
            log.append([write(f"u{n}", 0)], META, claims=[Claim("email", "x@y", f"u{n}")])
            for n, log in enumerate(logs)
        ),
        return_exceptions=True,
    )
    winners = [n for n, o in enumerate(outcomes) if isinstance(o, Appended)]
    assert len(winners) == 1
    assert sum(isinstance(o, ClaimTaken) for o in outcomes) == 3
    assert await logs[0].owner_of("email", "x@y") == f"u{winners[0]}"
    assert await logs[0].head() == 1


async def test_two_owners_in_one_append_cannot_claim_the_same_name(log: EventLog):
    claims = [Claim("email", "x", "u1"), Claim("email", "x", "u2")]
    with pytest.raises(ClaimTaken):
        await log.append([write("a")], META, claims=claims)
    assert await log.head() == 0


async def test_a_claim_can_be_repeated_by_its_owner_and_moved_by_releasing_it(log: EventLog):
    held = Claim("email", "x", "u1")
    await log.append([write("a")], META, claims=[held])
    await log.append([write("a")], META, claims=[held])
    with pytest.raises(ClaimTaken) as refused:
        await log.append([write("b")], META, claims=[held._replace(owner="u2")])
    assert (refused.value.kind, refused.value.owner) == ("email", "u1")
    not_mine = held._replace(owner="u3")
    await log.append([write("a")], META, releases=[not_mine])
    assert await log.owner_of("email", "x") == "u1"
    moved = held._replace(owner="u2")
    await log.append([write("a")], META, releases=[held], claims=[moved])
    assert await log.owner_of("email", "x") == "u2"


async def test_a_repeated_command_gets_the_first_result(log: EventLog):
    key = CommandKey("caller:1", "digest")
    first = await log.append([write("a", 0)], META, command=key, result={"id": "é"})
    await append(log, "b")
    with pytest.raises(CommandRepeated) as repeated:
        await log.append([write("a", 0)], META, command=key, result={"id": "other"})
    done = repeated.value.done
    assert (done.result, done.position) == ({"id": "é"}, first.last)
    assert await log.find_command(key) == done
    assert await log.head() == 2


async def test_a_key_used_for_another_request_is_a_mismatch(log: EventLog):
    await log.append([write("a")], META, command=CommandKey("k", "d"))
    other = CommandKey("k", "e")
    with pytest.raises(IdempotencyMismatch):
        await log.append([write("a")], META, command=other)
    with pytest.raises(IdempotencyMismatch):
        await log.find_command(other)


async def test_two_requests_under_one_key_at_once_write_once(open_log: OpenLog):
    logs = [await open_log(), await open_log()]
    key = CommandKey("k", "d")
    outcomes = await asyncio.gather(
        *(log.append([write("a")], META, command=key) for log in logs * 2), return_exceptions=True
    )
    assert sum(isinstance(o, CommandRepeated) for o in outcomes) == 3
    assert await logs[0].head() == 1


async def test_a_command_that_changes_nothing_is_remembered_too(log: EventLog):
    await append(log, "a")
    key = CommandKey("k", "d")
    appended = await log.append([], META, command=key, result={"n": 1})
    assert (appended.first, appended.last, appended.recorded) == (2, 1, ())
    done = await log.find_command(key)
    assert done is not None
    assert (done.position, done.result) == (1, {"n": 1})


async def test_a_batch_remembers_each_of_its_commands(log: EventLog):
    keys = [CommandKey(f"k{n}", "d") for n in range(3)]
    done = [CommandResult(key, {"n": n}) for n, key in enumerate(keys)]
    await log.append([write("a"), write("b")], META, commands=done[:2])
    with pytest.raises(CommandRepeated) as repeated:
        await log.append([write("c")], META, commands=[done[2], done[1]])
    assert repeated.value.done.key == "k1"
    assert await log.find_command(keys[2]) is None


async def test_an_append_under_an_old_epoch_is_refused(open_log: OpenLog):
    stale, fresh = await open_log(), await open_log()
    old = await stale.take_epoch("scheduler")
    await stale.append([write("a")], META, epoch=old)
    new = await fresh.take_epoch("scheduler")
    elsewhere = await fresh.take_epoch("something else")
    with pytest.raises(StaleEpoch):
        await stale.append([write("a")], META, epoch=old)
    await fresh.append([write("a")], META, epoch=new)
    await fresh.append([write("a")], META, epoch=elsewhere)
    assert await fresh.head() == 3


async def test_epochs_taken_at_once_differ(open_log: OpenLog):
    logs = [await open_log() for _ in range(3)]
    epochs = await asyncio.gather(*(log.take_epoch("x") for log in logs for _ in range(5)))
    assert len(set(epochs)) == 15
    for epoch in sorted(epochs)[:-1]:
        with pytest.raises(StaleEpoch):
            await logs[0].append([write("a")], META, epoch=epoch)
    await logs[0].append([write("a")], META, epoch=max(epochs))


async def test_a_refusal_says_nothing_personal(log: EventLog):
    claim = Claim("email", "someone@example.org", "u1")
    await log.append([write("a")], META, claims=[claim], command=CommandKey("secret key", "d"))
    refused: list[AppendRefusedError] = []
    for options in (
        {"claims": [claim._replace(owner="u2")]},
        {"command": CommandKey("secret key", "e")},
    ):
        with pytest.raises(AppendRefusedError) as caught:
            await log.append([write("a")], META, **options)  # type: ignore[arg-type]
        refused.append(caught.value)
    assert "someone" not in "".join(map(str, refused))
    assert "secret" not in "".join(map(str, refused))


async def test_answers_are_forgotten_after_a_week_and_not_before(log: EventLog):
    clock = FakeClock()
    log = EventLog(log.pool, log.codec, clock)
    old = [CommandResult(CommandKey(f"old {n}", "d"), {}) for n in range(2500)]
    await log.append([], META, commands=old)
    clock.advance(24 * 3600)
    await log.append([write("a")], META, command=CommandKey("young", "d"))
    assert await forget_old_answers(log, clock) == 0
    clock.advance(6 * 24 * 3600 + 1)
    assert await forget_old_answers(log, clock) == 2500
    assert await log.find_command(CommandKey("old 1", "d")) is None
    assert await log.find_command(CommandKey("young", "d")) is not None
