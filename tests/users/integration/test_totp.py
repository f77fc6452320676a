"""One-time passwords through the real command path: asked for, used once, and kept sealed."""

import asyncio

import pytest

from shared.contracts.base import Accepted, Rejected
from shared.contracts.users import BeginTotp, ChangeUser, ConfirmTotp, RemoveTotp
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.security.totp import render_seed
from shared.testing.services import ServiceProcess
from tests.users.integration.authenticator import enrolled, log_in, phone_of, time_passes
from tests.users.integration.harness import Ground, Users, rejected


async def test_once_switched_on_a_log_in_needs_password_and_code(users: Users) -> None:
    user_id, phone = await enrolled(users, "totp")
    assert rejected(await log_in(users, "totp", None)).code == "otp_required"
    assert rejected(await log_in(users, "totp", "")).code == "otp_required"
    refused = rejected(await log_in(users, "totp", phone.wrong))
    assert (refused.kind, refused.code) == ("unauthenticated", "otp_invalid")
    entered = await log_in(users, "totp", phone.code())
    assert isinstance(entered, Accepted), entered
    (event,) = [
        event
        for event in await users.events("UserTotpEnabled")
        if event["data"]["user_id"] == user_id
    ]
    assert event["data"] == {"type": "UserTotpEnabled", "user_id": user_id}


async def test_without_the_password_a_code_tells_nothing_and_is_not_used_up(users: Users) -> None:
    _, phone = await enrolled(users, "stolen")
    code = phone.code(1)
    answers = [
        rejected(await log_in(users, "stolen", shown, "wrong 123!"))
        for shown in (None, phone.wrong, code)
    ]
    assert {answer.code for answer in answers} == {"invalid_credentials"}
    assert isinstance(await log_in(users, "stolen", code), Accepted)


async def test_a_code_lets_in_once_even_after_kill_minus_nine(users: Users) -> None:
    _, phone = await enrolled(users, "replayed")
    code = phone.code(1)
    assert isinstance(await log_in(users, "replayed", code), Accepted)
    assert rejected(await log_in(users, "replayed", code)).code == "otp_invalid"
    await users.service.kill()
    await users.service.start()
    assert rejected(await log_in(users, "replayed", code)).code == "otp_invalid"


async def test_of_all_who_show_one_code_in_two_processes_one_is_let_in(
    users: Users, ground: Ground
) -> None:
    user_id, phone = await enrolled(users, "raced")
    second = await ServiceProcess("users", ground.environ).start()
    try:
        for _ in range(3):
            await time_passes(users, user_id)
            code = phone.code(1)
            replies = await asyncio.gather(*(log_in(users, "raced", code) for _ in range(8)))
            let_in = [reply for reply in replies if isinstance(reply, Accepted)]
            assert len(let_in) == 1
            codes = {reply.rejection.code for reply in replies if isinstance(reply, Rejected)}
            assert codes <= {"otp_invalid", "login_locked"}
            await users.database.execute("delete from login_attempts")
    finally:
        await second.stop()


async def test_a_seed_is_nowhere_in_the_clear(users: Users) -> None:
    user_id, phone = await enrolled(users, "sealed")
    secret = render_seed(phone.seed)
    sealed = await users.database.fetchval(
        "select sealed_seed from totp_seeds where user_id = $1", user_id
    )
    assert users.keyring.open("totp-seed", sealed, context=user_id) == phone.seed
    for table in ("totp_seeds", "events", "commands_done"):
        found = await users.database.fetchval(
            f"select count(*) from {table} as t where t::text like '%' || $1 || '%'",
            secret,
        )
        assert found == 0
    assert secret not in users.service.output


async def test_a_code_switches_them_off_and_log_ins_need_none_again(users: Users) -> None:
    user_id, phone = await enrolled(users, "leaves")
    wrong = rejected(await users.send(RemoveTotp(user_id=user_id, code=phone.wrong)))
    assert (wrong.kind, wrong.code) == ("invalid", "otp_invalid")
    removed = await users.send(RemoveTotp(user_id=user_id, code=phone.code(1)))
    assert isinstance(removed, Accepted)
    assert isinstance(await log_in(users, "leaves", None), Accepted)
    read = "select count(*) from totp_seeds where user_id = $1"
    assert await users.database.fetchval(read, user_id) == 0
    again = rejected(await users.send(RemoveTotp(user_id=user_id, code=phone.code(1))))
    assert again.code == "totp_not_enabled"


async def test_an_administrator_can_only_switch_them_off(users: Users) -> None:
    user_id, _ = await enrolled(users, "helped")
    assert isinstance(await users.send(ChangeUser(user_id=user_id, totp_enabled=False)), Accepted)
    assert isinstance(await log_in(users, "helped", None), Accepted)
    refused = rejected(await users.send(ChangeUser(user_id=user_id, totp_enabled=True)))
    assert (refused.kind, refused.code) == ("invalid", "totp_only_off")
    begun = await users.send(BeginTotp(user_id=user_id))
    phone = phone_of(users.keyring, user_id, begun)
    code = phone.code()
    assert isinstance(await users.send(ConfirmTotp(user_id=user_id, code=code)), Accepted)
    assert rejected(await log_in(users, "helped", None)).code == "otp_required"


async def test_the_seed_drawn_last_is_the_one_that_counts(users: Users) -> None:
    user_id = str((await users.created("twice"))["user_id"])
    unasked = rejected(await users.send(ConfirmTotp(user_id=user_id, code="123456")))
    assert unasked.code == "totp_not_begun"
    first, second = [
        phone_of(users.keyring, user_id, await users.send(BeginTotp(user_id=user_id)))
        for _ in range(2)
    ]
    assert first.seed != second.seed
    assert isinstance(await log_in(users, "twice", None), Accepted)
    wrong = rejected(await users.send(ConfirmTotp(user_id=user_id, code=second.wrong)))
    assert (wrong.kind, wrong.code) == ("invalid", "otp_invalid")
    code = second.code()
    assert isinstance(await users.send(ConfirmTotp(user_id=user_id, code=code)), Accepted)
    assert rejected(await log_in(users, "twice", code)).code == "otp_invalid"
    assert isinstance(await log_in(users, "twice", second.code(1)), Accepted)
    assert rejected(await users.send(BeginTotp(user_id=user_id))).code == "totp_enabled"


async def test_a_repeated_command_gets_its_first_answer(users: Users) -> None:
    user_id = str((await users.created("repeats"))["user_id"])
    key = CommandKey(f"tester {new_id()}", "begin")
    begun = [await users.send(BeginTotp(user_id=user_id), key) for _ in range(2)]
    assert begun[0] == begun[1]
    phone = phone_of(users.keyring, user_id, begun[0])
    key, confirm = (
        CommandKey(f"tester {new_id()}", "confirm"),
        ConfirmTotp(user_id=user_id, code=phone.code()),
    )
    answers = await asyncio.gather(*(users.send(confirm, key) for _ in range(4)))
    assert all(isinstance(answer, Accepted) for answer in answers), answers
    remove, key = (
        RemoveTotp(user_id=user_id, code=phone.code(1)),
        CommandKey(f"tester {new_id()}", "remove"),
    )
    for _ in range(2):
        assert isinstance(await users.send(remove, key), Accepted)
    other = CommandKey(key.key, "another request")
    assert rejected(await users.send(remove, other)).code == "idempotency_mismatch"


@pytest.mark.parametrize("kind", [BeginTotp, ConfirmTotp, RemoveTotp])
async def test_nobody_has_no_second_factor(
    users: Users, kind: type[BeginTotp | ConfirmTotp | RemoveTotp]
) -> None:
    more = {} if kind is BeginTotp else {"code": "123456"}
    assert rejected(await users.send(kind(user_id=new_id(), **more))).code == "user_not_found"
