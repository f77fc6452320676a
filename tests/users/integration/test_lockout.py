"""Too many wrong guesses lock an address: known or not, across processes and crashes."""

import asyncio
from collections import Counter

import asyncpg

from shared.contracts.base import Accepted, Rejected, Reply
from shared.testing.services import ServiceProcess
from tests.users.integration.authenticator import enrolled, log_in
from tests.users.integration.harness import Ground, Users, blocked, rejected

WRONG = "wrong 123!"


async def guess_wrong(users: Users, name: str, times: int) -> None:
    for _ in range(times):
        assert rejected(await log_in(users, name, None, WRONG)).code == "invalid_credentials"


async def blocked_events(users: Users, user_id: str) -> list[dict[str, object]]:
    return [e for e in await users.events("UserLoginBlocked") if e["data"]["user_id"] == user_id]


def codes(replies: list[Reply]) -> Counter[str]:
    return Counter(
        reply.rejection.code if isinstance(reply, Rejected) else "accepted" for reply in replies
    )


async def test_a_lock_survives_kill_minus_nine_and_is_told_once(users: Users) -> None:
    user_id = str((await users.created("locked"))["user_id"])
    for name in ("locked", "unknown"):
        await guess_wrong(users, name, 9)
    await users.service.kill()
    await users.service.start()
    for name in ("locked", "unknown"):
        await guess_wrong(users, name, 1)
    await users.service.kill()
    await users.service.start()
    for name in ("locked", "unknown"):
        for password in (WRONG, "abcd123!"):
            refused = rejected(await log_in(users, name, None, password))
            assert (refused.kind, refused.code) == ("rate_limited", "login_locked")
            assert 1100 < (refused.retry_after_s or 0) <= 1200
    (event,) = await blocked_events(users, user_id)
    assert event["stream"] == f"user-{user_id}"


async def test_guesses_at_once_in_two_processes_are_counted_one_by_one(
    users: Users, ground: Ground
) -> None:
    user_id = str((await users.created("stormed"))["user_id"])
    second = await ServiceProcess("users", ground.environ).start()
    try:
        for name in ("stormed", "nobody-stormed"):
            replies = await asyncio.gather(*(log_in(users, name, None, WRONG) for _ in range(25)))
            assert codes(list(replies)) == {"invalid_credentials": 10, "login_locked": 15}
    finally:
        await second.stop()
    assert len(await blocked_events(users, user_id)) == 1


async def test_a_right_password_is_not_let_in_once_others_have_guessed_too_often(
    users: Users, ground: Ground
) -> None:
    await users.created("sprayed")
    await guess_wrong(users, "sprayed", 9)
    other = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    counting = other.transaction()
    await counting.start()
    await other.execute("update login_attempts set failures = 10 where failures = 9")
    entering = asyncio.ensure_future(log_in(users, "sprayed", None))
    await blocked(users.database)
    await counting.commit()
    await other.close()
    assert rejected(await entering).code == "login_locked"


async def test_a_lock_ends_and_a_right_password_clears_the_count(users: Users) -> None:
    await users.created("patient")
    await guess_wrong(users, "patient", 10)
    assert rejected(await log_in(users, "patient", None)).code == "login_locked"
    await users.database.execute(
        "update login_attempts set last_at = last_at - interval '1200 seconds'"
    )
    assert isinstance(await log_in(users, "patient", None), Accepted)
    for _ in range(2):
        await guess_wrong(users, "patient", 9)
        assert isinstance(await log_in(users, "patient", None), Accepted)


async def test_wrong_codes_lock_and_asking_without_a_code_does_not_help(users: Users) -> None:
    user_id, phone = await enrolled(users, "coded")
    for _ in range(10):
        assert rejected(await log_in(users, "coded", None)).code == "otp_required"
        assert rejected(await log_in(users, "coded", phone.wrong)).code == "otp_invalid"
    assert rejected(await log_in(users, "coded", phone.code(1))).code == "login_locked"
    assert len(await blocked_events(users, user_id)) == 1


async def test_the_lock_does_not_tell_the_password_of_an_inactive_user(users: Users) -> None:
    await users.created("dormant", status="inactive")
    for _ in range(10):
        answer = rejected(await log_in(users, "dormant", None))
        assert answer.code == "invalid_credentials"
    assert rejected(await log_in(users, "dormant", None)).code == "login_locked"


async def test_addresses_that_nobody_asks_for_any_more_are_forgotten(users: Users) -> None:
    for name in ("old-1", "old-2", "old-3"):
        await guess_wrong(users, name, 1)
    await users.database.execute(
        "update login_attempts set last_at = last_at - interval '1201 seconds'"
    )
    await guess_wrong(users, "new", 1)
    assert await users.database.fetchval("select count(*) from login_attempts") <= 10
    await guess_wrong(users, "newer", 1)
    count = "select count(*) from login_attempts where last_at < now() - interval '1200 seconds'"
    assert await users.database.fetchval(count) == 0
