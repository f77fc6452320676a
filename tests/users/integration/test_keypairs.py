"""Keypairs through the service's commands: what is changed, kept and refused, also under races."""

import asyncio
from typing import Any

import pytest

from shared.contracts.base import Accepted, Command, Reply
from shared.contracts.users import (
    ChangeKeypair,
    ChangeUser,
    DeleteKeypair,
    EraseUser,
    IssueKeypair,
    ReportRateLimited,
    RevealKeypair,
    SwitchMainKeypair,
)
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from tests.users.integration.harness import Ground, Users, blocked, held, rejected

REFUSE = """
    create function refuse_reveals() returns trigger language plpgsql as
        $$ begin raise exception 'the log is full' using errcode = 'disk_full'; end $$;
    create trigger refuse_reveals before insert on events for each row
        when (new.type = 'KeypairSecretRevealed') execute function refuse_reveals()
"""


def accepted(reply: Reply) -> dict[str, Any]:
    assert isinstance(reply, Accepted), reply
    return dict(reply.result)


async def issue(users: Users, user_id: str, **more: Any) -> str:
    result = accepted(await users.send(IssueKeypair(user_id=user_id, **more)))
    return str(result["access_key"])


async def row(users: Users, access_key: str) -> dict[str, Any]:
    found = await users.database.fetchrow(
        "select * from keypairs where access_key = $1", access_key
    )
    return dict(found) if found else {}


async def mains(users: Users, user_id: str) -> list[str]:
    rows = await users.database.fetch(
        "select access_key from keypairs where user_id = $1 and is_main", user_id
    )
    return [found["access_key"] for found in rows]


async def told(users: Users, access_key: str, *types: str) -> int:
    events = await users.events(*types)
    return sum(event["data"]["access_key"] == access_key for event in events)


async def test_another_keypair_is_like_the_main_one_and_its_secret_opens(users: Users) -> None:
    person = await users.created("second")
    await users.send(ChangeKeypair(access_key=person["access_key"], rate_limit=77))
    result = accepted(await users.send(IssueKeypair(user_id=person["user_id"])))
    access_key = result["access_key"]
    secret = users.open_secret(access_key, result["sealed_secret_key"])
    assert len(secret) == 40
    found = await row(users, access_key)
    assert (found["status"], found["is_main"], found["rate_limit"]) == ("active", False, 77)
    assert users.open_secret(access_key, (await users.secrets(access_key))[access_key]) == secret


async def test_a_repeated_issue_gives_the_first_keypair_and_keeps_its_secret_nowhere_else(
    users: Users,
) -> None:
    person = await users.created("repeated")
    command, key = IssueKeypair(user_id=person["user_id"]), CommandKey(new_id(), "digest")
    first, second = [accepted(await users.send(command, key)) for _ in range(2)]
    assert first["access_key"] == second["access_key"]
    opened = {
        users.open_secret(made["access_key"], made["sealed_secret_key"]) for made in (first, second)
    }
    assert len(opened) == 1
    kept = await users.database.fetchval(
        "select result::text from commands_done where idempotency_key = $1", key.key
    )
    assert "sealed" not in kept


async def test_nobody_unknown_gets_a_keypair_and_no_unknown_policy_is_given(users: Users) -> None:
    person = await users.created("refused")
    unknown = await users.send(IssueKeypair(user_id="nobody"))
    assert rejected(unknown).code == "user_not_found"
    for command in (
        IssueKeypair(user_id=person["user_id"], resource_policy="absent"),
        ChangeKeypair(access_key=person["access_key"], resource_policy="absent"),
    ):
        errors = rejected(await users.send(command)).errors
        assert [(error.field, error.code) for error in errors] == [
            ("resource_policy", "unknown_policy")
        ]


async def test_a_keypair_goes_through_its_life(users: Users) -> None:
    person = await users.created("life")
    first = person["access_key"]
    second = await issue(users, person["user_id"])
    accepted(await users.send(ChangeKeypair(access_key=second, status="inactive")))
    inactive = await users.send(SwitchMainKeypair(access_key=second))
    assert rejected(inactive).code == "keypair_inactive"
    accepted(await users.send(ChangeKeypair(access_key=second, status="active", rate_limit=0)))
    accepted(await users.send(SwitchMainKeypair(access_key=second)))
    assert await mains(users, person["user_id"]) == [second]
    assert rejected(await users.send(DeleteKeypair(access_key=second))).code == "keypair_main"
    assert rejected(await users.send(DeleteKeypair(access_key=first))).code == "keypair_active"
    accepted(await users.send(ChangeKeypair(access_key=first, status="inactive")))
    accepted(await users.send(DeleteKeypair(access_key=first)))
    assert await row(users, first) == {}
    assert await users.secrets(first) == {first: None}
    assert rejected(await users.send(RevealKeypair(access_key=first))).kind == "not_found"


async def test_a_repeated_change_gets_its_first_answer_though_it_would_be_refused_now(
    users: Users,
) -> None:
    person = await users.created("again")
    second = await issue(users, person["user_id"])
    accepted(await users.send(ChangeKeypair(access_key=second, status="inactive")))
    key = CommandKey(new_id(), "digest")
    replies = [await users.send(DeleteKeypair(access_key=second), key) for _ in range(2)]
    assert replies[0] == replies[1]
    accepted(replies[0])


async def test_a_reveal_is_audited_with_who_saw_it(users: Users) -> None:
    person = await users.created("revealed")
    access_key = person["access_key"]
    result = accepted(await users.send(RevealKeypair(access_key=access_key)))
    secret = users.open_secret(access_key, result["sealed_secret_key"])
    assert secret == users.open_secret(access_key, person["sealed_secret_key"])
    (event,) = [
        event
        for event in await users.events("KeypairSecretRevealed")
        if event["data"]["access_key"] == access_key
    ]
    assert event["meta"]["actor"]["id"] == "tester"
    assert secret not in users.service.output


async def test_nothing_is_revealed_when_it_cannot_be_audited(users: Users) -> None:
    person = await users.created("unaudited")
    command, key = RevealKeypair(access_key=person["access_key"]), CommandKey(new_id(), "digest")
    await users.database.execute(REFUSE)
    try:
        refused = await users.send(command, key)
    finally:
        await users.database.execute("drop function refuse_reveals cascade")
    assert rejected(refused).kind == "unavailable"
    assert "sealed_secret_key" not in str(refused)
    assert await told(users, person["access_key"], "KeypairSecretRevealed") == 0
    assert "sealed_secret_key" in accepted(await users.send(command, key))
    assert await told(users, person["access_key"], "KeypairSecretRevealed") == 1


async def test_a_burst_is_told_once_however_many_tell_it_at_the_same_time(users: Users) -> None:
    person = await users.created("burst")
    report = ReportRateLimited(access_key=person["access_key"], limit=3)
    for reply in await users.together(*[report] * 8):
        accepted(reply)
    assert await told(users, person["access_key"], "KeypairRateLimited") == 1


async def test_each_of_many_switches_at_once_follows_another(users: Users, ground: Ground) -> None:
    person = await users.created("switches")
    user_id = person["user_id"]
    keys = [person["access_key"]] + [await issue(users, user_id) for _ in range(4)]
    async with held(ground, "accounts", "user_id", user_id):
        switching = asyncio.ensure_future(
            users.together(*(SwitchMainKeypair(access_key=key) for key in keys[1:]))
        )
        await blocked(users.database)
    for reply in await switching:
        accepted(reply)
    main = keys[0]
    for event in await users.events("UserMainKeypairSwitched"):
        if event["data"]["user_id"] == user_id:
            assert event["data"]["previous"] == main
            main = event["data"]["access_key"]
    assert await mains(users, user_id) == [main]


async def test_no_keypair_is_activated_while_its_user_is_erased(
    users: Users, ground: Ground
) -> None:
    person = await users.created("erasing")
    user_id = person["user_id"]
    spare = await issue(users, user_id)
    accepted(await users.send(ChangeKeypair(access_key=spare, status="inactive")))
    accepted(await users.send(ChangeUser(user_id=user_id, status="inactive")))
    async with held(ground, "accounts", "user_id", user_id):
        erasing = asyncio.ensure_future(users.send(EraseUser(user_id=user_id)))
        await blocked(users.database)
        activating = asyncio.ensure_future(
            users.send(ChangeKeypair(access_key=spare, status="active"))
        )
    accepted(await erasing)
    if not isinstance(reply := await activating, Accepted):
        assert rejected(reply).code == "user_erased"
    assert (await row(users, spare))["status"] == "inactive"


@pytest.mark.parametrize("round_", range(4))
async def test_whoever_races_one_active_keypair_is_the_main_one_and_is_not_deleted(
    users: Users, round_: int
) -> None:
    person = await users.created(f"race{round_}")
    keys = [person["access_key"]] + [await issue(users, person["user_id"]) for _ in range(2)]
    for access_key in keys[1:]:
        await users.send(ChangeKeypair(access_key=access_key, status="inactive"))
    commands: list[Command] = []
    for access_key in keys[1:]:
        commands += [
            ChangeKeypair(access_key=access_key, status="active"),
            SwitchMainKeypair(access_key=access_key),
            DeleteKeypair(access_key=access_key),
        ]
    await users.together(*commands)
    (main,) = await mains(users, person["user_id"])
    assert (await row(users, main))["status"] == "active"
    switches = [
        event["data"]["access_key"]
        for event in await users.events("UserMainKeypairSwitched")
        if event["data"]["user_id"] == person["user_id"]
    ]
    assert (switches or keys)[-1 if switches else 0] == main
    deleted = {event["data"]["access_key"] for event in await users.events("KeypairDeleted")}
    assert main not in deleted
