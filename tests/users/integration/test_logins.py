"""Logging in and out through the real command path."""

import runpy
from datetime import UTC, datetime, timedelta

from shared.contracts.base import Accepted
from shared.contracts.users import LogIn, LogOut
from shared.security.tokens import is_token, token_hash
from shared.testing.services import ROOT
from tests.users.integration.harness import ADMIN, Users, rejected


async def test_the_right_password_gives_a_token_of_which_only_a_hash_is_kept(users: Users) -> None:
    made = await users.created("login")
    reply = await users.log_in(" Login@EXAMPLE.org")
    assert isinstance(reply, Accepted)
    token = users.open_token(reply.result)
    assert is_token(token)
    assert reply.result["user_id"] == made["user_id"]
    (event,) = [
        event
        for event in await users.events("LoginStarted")
        if event["data"]["login_id"] == reply.result["login_id"]
    ]
    assert event["data"]["token_hash"] == token_hash(token)
    assert event["meta"]["actor"] == {"kind": "user", "id": made["user_id"], "credential": None}
    expires = datetime.fromisoformat(str(reply.result["expires_at"]))
    assert timedelta(days=6) < expires - datetime.now(tz=UTC) <= timedelta(days=7)


async def test_wrong_unknown_and_inactive_get_one_answer(users: Users) -> None:
    await users.created("idle", status="inactive")
    await users.created("awake")
    answers = [
        rejected(await users.log_in("awake@example.org", "wrong 123!")),
        rejected(await users.log_in("nobody@example.org")),
        rejected(await users.log_in("idle@example.org")),
        rejected(await users.log_in("x" * 5000)),
    ]
    assert {(answer.kind, answer.code) for answer in answers} == {
        ("unauthenticated", "invalid_credentials")
    }
    assert len({answer.message for answer in answers}) == 1


async def test_before_verification_only_the_right_password_learns_it(users: Users) -> None:
    await users.created("early", status="before_verification")
    assert rejected(await users.log_in("early@example.org")).code == "verification_needed"
    wrong = await users.log_in("early@example.org", "wrong 123!")
    assert rejected(wrong).code == "invalid_credentials"


async def test_an_address_is_locked_after_ten_wrong_passwords_known_or_not(users: Users) -> None:
    await users.created("forgetful")
    for email in ("forgetful@example.org", "phantom@example.org"):
        for _ in range(10):
            assert rejected(await users.log_in(email, "wrong 123!")).kind == "unauthenticated"
        locked = rejected(await users.log_in(email))
        assert (locked.kind, locked.code) == ("rate_limited", "login_locked")
        assert 0 < (locked.retry_after_s or 0) <= 1200


async def test_a_session_ends_once_and_only_for_its_user(users: Users) -> None:
    await users.created("leaver")
    reply = await users.log_in("leaver@example.org")
    assert isinstance(reply, Accepted)
    login_id, user_id = str(reply.result["login_id"]), str(reply.result["user_id"])
    other = await users.send(LogOut(login_id=login_id, user_id="somebody"))
    assert rejected(other).code == "login_not_found"
    for _ in range(2):
        ended = await users.send(LogOut(login_id=login_id, user_id=user_id))
        assert isinstance(ended, Accepted)
    ends = [e for e in await users.events("LoginEnded") if e["data"]["login_id"] == login_id]
    assert len(ends) == 1


async def test_the_administrator_of_the_first_start_can_log_in(users: Users) -> None:
    reply = await users.log_in(ADMIN["email"], ADMIN["password"])
    assert isinstance(reply, Accepted)
    answer = await users.secrets(ADMIN["access_key"])
    sealed = answer[ADMIN["access_key"]]
    assert users.open_secret(ADMIN["access_key"], sealed or "") == ADMIN["secret_key"]


async def test_a_hash_of_other_cost_is_renewed_at_the_next_log_in(users: Users) -> None:
    made = await users.created("renewed")
    read = "select sealed_hash from credentials where user_id = $1"
    before = await users.database.fetchval(read, made["user_id"])
    await users.log_in("renewed@example.org")
    assert await users.database.fetchval(read, made["user_id"]) == before
    await users.service.stop()
    users.service.environ["QM_PASSWORD_PASSES"] = "2"
    await users.service.start()
    assert isinstance(await users.log_in("renewed@example.org"), Accepted)
    after = await users.database.fetchval(read, made["user_id"])
    assert after != before
    assert isinstance(await users.log_in("renewed@example.org"), Accepted)
    assert await users.database.fetchval(read, made["user_id"]) == after


async def test_a_password_that_was_not_sealed_here_is_malformed(users: Users) -> None:
    command = LogIn(email="a@b.c", sealed_password="1.abcd")
    assert rejected(await users.send(command)).code == "malformed_password"


async def test_an_older_installation_takes_its_living_sessions_along(users: Users) -> None:
    made = await users.created("settler")
    replies = [await users.log_in("settler@example.org") for _ in range(3)]
    ids = [str(reply.result["login_id"]) for reply in replies if isinstance(reply, Accepted)]
    await users.send(LogOut(login_id=ids[0], user_id=str(made["user_id"])))
    read = "select login_id, user_id, expires_at from logins order by login_id"
    known = await users.database.fetch(read)
    assert {row["login_id"] for row in known} >= set(ids[1:])
    await users.database.execute("delete from logins")
    migration = runpy.run_path(str(ROOT / "services/users/schema/versions/0004_login.py"))
    await users.database.execute(migration["_STATEMENTS"][-1])
    assert await users.database.fetch(read) == known
    assert ids[0] not in {row["login_id"] for row in known}
