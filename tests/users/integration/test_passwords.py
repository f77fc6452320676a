"""Changing one's own password through the real command path."""

import asyncio
from typing import Any

import asyncpg

from shared.contracts.base import Accepted, Reply
from shared.contracts.users import ChangeOwnPassword, ChangeUser
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.security.transport import seal_password
from tests.users.integration.authenticator import log_in
from tests.users.integration.harness import Ground, Users, blocked, rejected

OLD, NEW = "abcd123!", "efgh456?"


def change(users: Users, user_id: str, old: str = OLD, new: str = NEW, **more: Any) -> Any:
    sealed_old, sealed_new = (seal_password(users.keyring, text) for text in (old, new))
    return ChangeOwnPassword(user_id=user_id, sealed_old=sealed_old, sealed_new=sealed_new, **more)


async def session(users: Users, name: str, password: str = OLD) -> str:
    reply = await log_in(users, name, None, password)
    assert isinstance(reply, Accepted), reply
    return str(reply.result["login_id"])


async def ended(users: Users, user_id: str) -> dict[str, str]:
    return {
        event["data"]["login_id"]: event["data"]["reason"]
        for event in await users.events("LoginEnded")
        if event["data"]["user_id"] == user_id
    }


async def test_a_new_password_ends_all_sessions_but_the_one_that_sets_it(users: Users) -> None:
    made = await users.created("changer", password_change_required=True)
    user_id = str(made["user_id"])
    first, kept, third = [await session(users, "changer") for _ in range(3)]
    reply = await users.send(change(users, user_id, keep_login_id=kept))
    assert isinstance(reply, Accepted), reply
    assert await ended(users, user_id) == {
        first: "password_changed",
        third: "password_changed",
    }
    assert rejected(await log_in(users, "changer", None)).code == "invalid_credentials"
    assert isinstance(await log_in(users, "changer", None, NEW), Accepted)
    (by,) = [
        event["data"]["by"]
        for event in await users.events("UserPasswordSet")
        if event["data"]["user_id"] == user_id
    ]
    (flags,) = [
        event["data"]
        for event in await users.events("UserFlagsChanged")
        if event["data"]["user_id"] == user_id
    ]
    assert by == "self"
    assert flags["password_change_required"] is False
    assert "sudo_session_enabled" not in flags


async def test_without_the_old_password_or_with_a_weak_one_nothing_changes(users: Users) -> None:
    user_id = str((await users.created("guarded"))["user_id"])
    kept = await session(users, "guarded")
    before = await users.events()
    wrong = rejected(await users.send(change(users, user_id, old="wrong 123!")))
    assert (wrong.kind, wrong.code) == ("invalid", "old_password_wrong")
    weak = rejected(await users.send(change(users, user_id, new="short")))
    assert [(error.field, error.code) for error in weak.errors] == [("new", "too_short")]
    same = rejected(await users.send(change(users, user_id, new=OLD)))
    assert same.code == "same_password"
    foreign = ChangeOwnPassword(user_id=user_id, sealed_old="1.abcd", sealed_new="1.abcd")
    assert rejected(await users.send(foreign)).code == "malformed_password"
    assert rejected(await users.send(change(users, new_id()))).code == "user_not_found"
    assert await users.events() == before
    assert kept not in await ended(users, user_id)
    assert isinstance(await log_in(users, "guarded", None), Accepted)


async def test_guessing_the_old_password_locks_the_address(users: Users) -> None:
    user_id = str((await users.created("hijacked"))["user_id"])
    for _ in range(10):
        reply = rejected(await users.send(change(users, user_id, old="wrong 123!")))
        assert reply.code == "old_password_wrong"
    assert rejected(await users.send(change(users, user_id))).code == "login_locked"
    assert rejected(await log_in(users, "hijacked", None)).code == "login_locked"


async def test_a_repeated_change_gets_its_first_answer(users: Users) -> None:
    user_id = str((await users.created("repeater"))["user_id"])
    key, command = CommandKey(f"tester {new_id()}", "change"), change(users, user_id)
    answers = await asyncio.gather(*(users.send(command, key) for _ in range(3)))
    assert len({str(answer) for answer in answers}) == 1
    assert isinstance(answers[0], Accepted), answers[0]
    assert await users.send(command, key) == answers[0]


async def test_who_logs_in_with_the_old_password_at_that_moment_is_logged_out(
    users: Users, ground: Ground
) -> None:
    user_id = str((await users.created("overtaken"))["user_id"])
    kept = await session(users, "overtaken")
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("select * from log_head for update")
    entering = asyncio.ensure_future(log_in(users, "overtaken", None))
    await blocked(users.database)
    changing = asyncio.ensure_future(users.send(change(users, user_id, keep_login_id=kept)))
    await holding.rollback()
    await blocker.close()
    entered, changed = await asyncio.gather(entering, changing)
    assert isinstance(entered, Accepted), entered
    assert isinstance(changed, Accepted), changed
    assert await ended(users, user_id) == {str(entered.result["login_id"]): "password_changed"}


async def test_a_change_that_is_killed_half_way_changes_nothing(
    users: Users, ground: Ground
) -> None:
    user_id = str((await users.created("interrupted"))["user_id"])
    other = await session(users, "interrupted")
    key, command = CommandKey(f"tester {new_id()}", "change"), change(users, user_id)
    blocker = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    holding = blocker.transaction()
    await holding.start()
    await blocker.execute("select * from log_head for update")
    lost: asyncio.Future[Reply] = asyncio.ensure_future(users.send(command, key, timeout_s=3))
    await blocked(users.database)
    await users.service.kill()
    await holding.rollback()
    await blocker.close()
    assert rejected(await lost).kind == "unavailable"
    await users.service.start()
    assert await ended(users, user_id) == {}
    assert isinstance(await log_in(users, "interrupted", None), Accepted)
    assert isinstance(await users.send(command, key), Accepted)
    assert (await ended(users, user_id))[other] == "password_changed"
    assert isinstance(await log_in(users, "interrupted", None, NEW), Accepted)


async def test_no_session_outlives_a_password_that_an_administrator_replaces(
    users: Users,
) -> None:
    user_id = str((await users.created("replaced"))["user_id"])
    sealed = seal_password(users.keyring, NEW)
    replies = await asyncio.gather(
        *(log_in(users, "replaced", None) for _ in range(4)),
        users.send(ChangeUser(user_id=user_id, sealed_password=sealed)),
        *(log_in(users, "replaced", None) for _ in range(4)),
    )
    assert isinstance(replies[4], Accepted), replies[4]
    told = await users.events("LoginStarted", "UserPasswordSet")
    mine = [event["type"] for event in told if event["data"]["user_id"] == user_id]
    assert mine == ["LoginStarted"] * (len(mine) - 1) + ["UserPasswordSet"]
    started = {
        event["data"]["login_id"]
        for event in told
        if event["type"] == "LoginStarted" and event["data"]["user_id"] == user_id
    }
    assert set(await ended(users, user_id)) == started
    assert isinstance(await log_in(users, "replaced", None, NEW), Accepted)


async def test_a_password_that_was_right_when_it_was_checked_is_checked_again(
    users: Users, ground: Ground
) -> None:
    user_id = str((await users.created("surprised"))["user_id"])
    donor = str((await users.created("donor", password=NEW))["user_id"])
    read = "select sealed_hash from credentials where user_id = $1"
    sealed = await users.database.fetchval(read, donor)
    encoded = users.keyring.open_text("password-hash", sealed, context=donor)
    other = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    replacing = other.transaction()
    await replacing.start()
    await other.execute(
        "update credentials set sealed_hash = $2, changed_at = now() where user_id = $1",
        user_id,
        users.keyring.seal("password-hash", encoded, context=user_id),
    )
    entering = asyncio.ensure_future(log_in(users, "surprised", None))
    await blocked(users.database)
    await replacing.commit()
    await other.close()
    assert rejected(await entering).code == "invalid_credentials"
    assert isinstance(await log_in(users, "surprised", None, NEW), Accepted)


async def test_nobody_is_let_in_after_the_deactivation(users: Users) -> None:
    user_id = str((await users.created("dismissed"))["user_id"])
    replies = await asyncio.gather(
        *(log_in(users, "dismissed", None) for _ in range(4)),
        users.send(ChangeUser(user_id=user_id, status="inactive")),
        *(log_in(users, "dismissed", None) for _ in range(4)),
    )
    assert isinstance(replies[4], Accepted), replies[4]
    told = await users.events("LoginStarted", "UserDeactivated")
    mine = [event["type"] for event in told if event["data"]["user_id"] == user_id]
    assert mine == ["LoginStarted"] * (len(mine) - 1) + ["UserDeactivated"]
    assert {rejected(reply).code for reply in replies if not isinstance(reply, Accepted)} <= {
        "invalid_credentials"
    }
