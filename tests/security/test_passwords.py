"""Passwords are hashed off the event loop, in a bounded queue."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from shared.kernel.rejections import Rejection
from shared.security.passwords import NICE, PasswordHasher, PasswordParameters, Verdict
from shared.security.rules import check_password

QUICK = PasswordParameters(memory_kib=8, passes=1, lanes=1)
SLOW = PasswordParameters(memory_kib=32 * 1024, passes=2, lanes=1)


async def test_a_password_matches_its_hash_and_no_other() -> None:
    hasher = PasswordHasher(QUICK)
    encoded = await hasher.hash("correct 1!")
    assert isinstance(encoded, str)
    assert encoded.startswith("$argon2id$")
    assert await hasher.verify(encoded, "correct 1!") == Verdict(matches=True)
    assert await hasher.verify(encoded, "correct 2!") == Verdict(matches=False)
    hasher.close()


async def test_nobody_matches_no_password() -> None:
    hasher = PasswordHasher(QUICK)
    for guess in ("anything", "the password of nobody"):
        verdict = await hasher.verify(None, guess)
        assert isinstance(verdict, Verdict)
        assert not verdict.matches
    hasher.close()


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    old, new = PasswordHasher(QUICK), PasswordHasher(QUICK._replace(passes=2))
    encoded = await old.hash("correct 1!")
    assert isinstance(encoded, str)
    assert await new.verify(encoded, "correct 1!") == Verdict(matches=True, outdated=True)
    old.close()
    new.close()


async def test_the_same_characters_typed_otherwise_match() -> None:
    hasher = PasswordHasher(QUICK)
    encoded = await hasher.hash("pässwort 1!")
    assert isinstance(encoded, str)
    assert await hasher.verify(encoded, "pa\u0308sswort 1!") == Verdict(matches=True)
    hasher.close()


async def test_an_unreadable_stored_hash_is_an_error_and_not_a_wrong_password() -> None:
    hasher = PasswordHasher(QUICK)
    with pytest.raises(ValueError, match="cannot be read"):
        await hasher.verify("plain text", "correct 1!")
    hasher.close()


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    hasher = PasswordHasher(SLOW, workers=1, max_waiting=2)
    answers = await asyncio.gather(*(hasher.hash("correct 1!") for _ in range(6)))
    refused = [answer for answer in answers if isinstance(answer, Rejection)]
    assert [answer.kind for answer in refused] == ["unavailable"] * len(refused)
    assert all(answer.code == "passwords_busy" for answer in refused)
    assert all((answer.retry_after_s or 0) >= 1 for answer in refused)
    assert 3 <= len(refused) <= 4
    assert isinstance(await hasher.hash("correct 1!"), str)
    hasher.close()


async def test_a_caller_that_waits_too_long_is_refused() -> None:
    hasher = PasswordHasher(SLOW, workers=1, max_wait_s=0)
    first = asyncio.ensure_future(hasher.hash("correct 1!"))
    await asyncio.sleep(0)
    second = await hasher.hash("correct 1!")
    assert isinstance(second, Rejection)
    await asyncio.gather(first, return_exceptions=True)
    hasher.close()


async def test_a_caller_that_has_gone_leaves_the_queue_and_costs_no_work() -> None:
    hasher = PasswordHasher(SLOW, workers=1)
    first = asyncio.ensure_future(hasher.hash("correct 1!"))
    gone = [asyncio.ensure_future(hasher.hash("correct 1!")) for _ in range(20)]
    await asyncio.sleep(0)
    assert hasher.waiting == 20
    for caller in gone:
        caller.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert hasher.waiting == 0
    assert isinstance(await first, str)
    assert isinstance(await hasher.hash("correct 1!"), str)
    hasher.close()


async def test_the_loop_goes_on_while_a_password_is_hashed() -> None:
    hasher = PasswordHasher(SLOW, workers=1)
    work = asyncio.ensure_future(hasher.hash("correct 1!"))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10
    hasher.close()


async def test_a_closed_hasher_refuses() -> None:
    hasher = PasswordHasher(QUICK)
    hasher.close()
    assert isinstance(await hasher.hash("correct 1!"), Rejection)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("abcd1234", "no_special"),
        ("abcd123!", None),
        ("abc123!", "too_short"),
        ("12345678!", "no_letter"),
        ("abcdefgh!", "no_digit"),
        ("abcd_1234", None),
        ("비밀번호가나다라1", "no_letter"),
        ("abcd1234한", None),
        ("a1!" * 86, "too_long"),
        ("abcd\n1234!", "control_character"),
    ],
)
def test_the_password_rule(password: str, code: str | None) -> None:
    error = check_password(password)
    assert (error and error.code) == code


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own there")
async def test_hashing_gives_way_to_everything_else() -> None:
    def threads() -> set[int]:
        return {int(path.name) for path in Path("/proc/self/task").iterdir()}

    before, own = threads(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    hasher = PasswordHasher(QUICK, workers=2)
    await asyncio.gather(*(hasher.hash("correct 1!") for _ in range(4)))
    workers = threads() - before
    assert workers
    assert {os.getpriority(os.PRIO_PROCESS, worker) for worker in workers} == {NICE}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
    hasher.close()
