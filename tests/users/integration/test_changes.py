"""ChangeUser through the real command path."""

from typing import Any

import pytest

from shared.contracts.base import Accepted, Rejected, Reply
from shared.contracts.users import ChangeUser, CreateDomain, CreateProject
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.security.persons import PersonKey, open_text
from shared.security.transport import seal_password
from tests.users.integration.authenticator import enrolled
from tests.users.integration.harness import Users, rejected


async def change(users: Users, user_id: str, by: str = "tester", **fields: Any) -> Reply:
    return await users.send(ChangeUser(user_id=user_id, **fields), by=by)


async def changed(users: Users, user_id: str, **fields: Any) -> Accepted:
    reply = await change(users, user_id, **fields)
    assert isinstance(reply, Accepted), reply
    return reply


async def of_user(users: Users, user_id: str, *types: str) -> list[dict[str, Any]]:
    return [e for e in await users.events(*types) if e["data"].get("user_id") == user_id]


async def projects_of(users: Users, user_id: str) -> set[str]:
    rows = await users.database.fetch(
        "select name from projects join memberships using (project_id) where user_id = $1", user_id
    )
    return {row["name"] for row in rows}


async def project(users: Users, name: str, domain: str = "default", **more: Any) -> str:
    reply = await users.send(
        CreateProject(domain=domain, name=name, project_type="general", **more)
    )
    assert isinstance(reply, Accepted), reply
    return str(reply.result["project_id"])


async def test_all_that_is_given_changes_in_one_transaction(users: Users) -> None:
    user_id = (await users.created("many", full_name="Many"))["user_id"]
    lab = await project(users, "many-lab")
    done = await changed(
        users,
        user_id,
        username="plenty",
        full_name="Many",
        description="more",
        role="admin",
        status="inactive",
        projects=(lab,),
        password_change_required=True,
        sealed_password=seal_password(users.keyring, "another-1"),
    )
    events = [e for e in await of_user(users, user_id) if e["meta"]["actor"]["id"] == "tester"]
    last = [
        e for e in events if e["meta"]["correlation_id"] == events[-1]["meta"]["correlation_id"]
    ]
    assert [e["type"] for e in last] == [
        "UserProfileChanged",
        "UserPasswordSet",
        "UserFlagsChanged",
        "UserRoleChanged",
        "UserDeactivated",
        "ProjectMemberAdded",
    ]
    assert done.position == await users.database.fetchval("select max(position) from events")
    key = PersonKey.unwrap(users.keyring, user_id, (await users.keys(user_id))[user_id] or "")
    texts = last[0]["data"]
    assert open_text(key, "username", texts["username"]) == "plenty"
    assert open_text(key, "description", texts["description"]) == "more"
    assert "full_name" not in texts
    assert await projects_of(users, user_id) == {"many-lab", "model-store"}


async def test_what_is_so_already_writes_nothing(users: Users) -> None:
    user_id = (await users.created("same"))["user_id"]
    first = await changed(users, user_id, description="x", sudo_session_enabled=True)
    again = await changed(
        users, user_id, description="x", sudo_session_enabled=True, status="active", role="user"
    )
    assert again.position == first.position


async def test_a_name_that_is_given_up_is_free_and_the_new_one_is_taken(users: Users) -> None:
    user_id = (await users.created("olduser"))["user_id"]
    await changed(users, user_id, username="newuser")
    refusal = rejected(await users.create("x1", username="NewUser"))
    assert (refusal.code, refusal.details) == ("username_taken", {"field": "username"})
    other = (await users.created("x2", username="olduser"))["user_id"]
    assert rejected(await change(users, other, username="newuser")).code == "username_taken"
    await changed(users, user_id, username="NEWUSER")
    assert rejected(await change(users, other, username="newuser")).code == "username_taken"
    assert isinstance(await users.log_in("olduser@example.org"), Accepted)


async def test_of_many_that_want_one_name_at_once_one_gets_it(users: Users) -> None:
    made = [(await users.created(f"wants{n}"))["user_id"] for n in range(6)]
    replies = await users.together(
        *[ChangeUser(user_id=user_id, username="wanted") for user_id in made]
    )
    assert sum(isinstance(reply, Accepted) for reply in replies) == 1
    assert {rejected(r).code for r in replies if not isinstance(r, Accepted)} == {"username_taken"}
    held = await users.database.fetch(
        "select owner from claims where kind = 'username' and owner = any($1)", made
    )
    assert sorted(row["owner"] for row in held) == sorted(made)


async def test_deactivation_refuses_the_log_in_and_keeps_every_key_as_it_is(users: Users) -> None:
    made = await users.created("sleeper")
    assert isinstance(await users.log_in("sleeper@example.org"), Accepted)
    await changed(users, made["user_id"], status="inactive")
    assert rejected(await users.log_in("sleeper@example.org")).code == "invalid_credentials"
    status = await users.database.fetchval(
        "select status from keypairs where access_key = $1", made["access_key"]
    )
    assert status == "active"
    assert await of_user(users, made["user_id"], "LoginEnded") == []
    await changed(users, made["user_id"], status="active")
    assert isinstance(await users.log_in("sleeper@example.org"), Accepted)


async def test_an_administrator_s_password_holds_at_once_and_ends_the_sessions(
    users: Users,
) -> None:
    user_id = (await users.created("forgetful", password_change_required=True))["user_id"]
    sessions = {
        (await users.log_in("forgetful@example.org")).result["login_id"]  # type: ignore[union-attr]
        for _ in range(2)
    }
    await changed(users, user_id, sealed_password=seal_password(users.keyring, "brand-new-1"))
    assert rejected(await users.log_in("forgetful@example.org")).code == "invalid_credentials"
    assert isinstance(await users.log_in("forgetful@example.org", "brand-new-1"), Accepted)
    ended = await of_user(users, user_id, "LoginEnded")
    assert {(e["data"]["login_id"], e["data"]["reason"]) for e in ended} == {
        (login_id, "password_changed") for login_id in sessions
    }
    assert await of_user(users, user_id, "UserFlagsChanged") == []


async def test_an_administrator_s_password_lifts_the_lock_of_its_user(users: Users) -> None:
    user_id = (await users.created("lockedout"))["user_id"]
    for _ in range(10):
        assert isinstance(await users.log_in("lockedout@example.org", "wrong 123!"), Rejected)
    assert rejected(await users.log_in("lockedout@example.org")).code == "login_locked"
    await changed(users, user_id, sealed_password=seal_password(users.keyring, "brand-new-1"))
    assert isinstance(await users.log_in("lockedout@example.org", "brand-new-1"), Accepted)


async def test_an_administrator_switches_one_time_passwords_off_and_never_on(users: Users) -> None:
    user_id, _ = await enrolled(users, "coded")
    assert rejected(await users.log_in("coded@example.org")).code == "otp_required"
    await changed(users, user_id, totp_enabled=False)
    assert isinstance(await users.log_in("coded@example.org"), Accepted)
    (event,) = await of_user(users, user_id, "UserTotpDisabled")
    assert event["data"]["by"] == "administrator"
    seeds = "select count(*) from totp_seeds where user_id = $1"
    assert await users.database.fetchval(seeds, user_id) == 0
    assert rejected(await change(users, user_id, totp_enabled=True)).code == "totp_only_off"


async def test_projects_are_replaced_but_for_those_of_models(users: Users) -> None:
    first, second = [await project(users, f"swap{n}") for n in range(2)]
    user_id = (await users.created("swapper", projects=(first,)))["user_id"]
    await changed(users, user_id, projects=(second, second))
    assert await projects_of(users, user_id) == {"swap1", "model-store"}
    await changed(users, user_id, projects=())
    assert await projects_of(users, user_id) == {"model-store"}


async def test_a_project_that_is_left_out_and_in_by_two_at_once_ends_in_one_of_both(
    users: Users,
) -> None:
    ours = [await project(users, f"dance{n}") for n in range(3)]
    user_id = (await users.created("dancer"))["user_id"]
    replies = await users.together(
        *[ChangeUser(user_id=user_id, projects=(project_id,)) for project_id in ours]
    )
    assert all(isinstance(reply, Accepted) for reply in replies)
    left = await projects_of(users, user_id) - {"model-store"}
    assert len(left) == 1
    events = await of_user(users, user_id, "ProjectMemberAdded", "ProjectMemberRemoved")
    balance = sum(1 if e["type"] == "ProjectMemberAdded" else -1 for e in events)
    assert balance == 2


@pytest.mark.parametrize(
    ("fields", "code", "kind"),
    [
        ({"username": " x"}, "invalid_request", "invalid"),
        ({"projects": ("absent",)}, "invalid_request", "invalid"),
        ({"resource_policy": "gold"}, "invalid_request", "invalid"),
        ({"status": "before_verification"}, "status_transition", "invalid"),
        ({"totp_enabled": True}, "totp_only_off", "invalid"),
        ({"sealed_password": "nonsense"}, "malformed_password", "malformed"),
    ],
)
async def test_a_refusal_changes_nothing(
    users: Users, fields: dict[str, Any], code: str, kind: str
) -> None:
    user_id = (await users.created(f"firm{new_id()}"))["user_id"]
    before = len(await users.events())
    refusal = rejected(await change(users, user_id, full_name="would be new", **fields))
    assert (refusal.code, refusal.kind) == (code, kind)
    assert len(await users.events()) == before


async def test_a_weak_password_and_a_foreign_project_are_named_together(users: Users) -> None:
    await users.send(CreateDomain(name="abroad"))
    foreign = await project(users, "foreign", "abroad")
    user_id = (await users.created("weak"))["user_id"]
    sealed = seal_password(users.keyring, "weak")
    refusal = rejected(await change(users, user_id, projects=(foreign,), sealed_password=sealed))
    assert {(e.field, e.code) for e in refusal.errors} == {
        ("password", "too_short"),
        ("projects", "unknown_project"),
    }
    closed = await project(users, "closed", is_active=False)
    assert rejected(await change(users, user_id, projects=(closed,))).code == "project_inactive"


async def test_somebody_unknown_is_not_found(users: Users) -> None:
    for fields in ({"role": "admin"}, {"username": "x"}, {"projects": ()}):
        assert rejected(await change(users, "nobody", **fields)).code == "user_not_found"


async def test_a_repeated_change_gets_the_first_answer(users: Users) -> None:
    user_id = (await users.created("repeat"))["user_id"]
    command, key = ChangeUser(user_id=user_id, role="admin"), CommandKey(new_id(), "digest")
    first = await users.send(command, key)
    await changed(users, user_id, role="user")
    assert await users.send(command, key) == first
    assert len(await of_user(users, user_id, "UserRoleChanged")) == 2
    other = rejected(await users.send(command, CommandKey(key.key, "other")))
    assert other.code == "idempotency_mismatch"


async def test_nobody_changes_the_own_rank(users: Users) -> None:
    user_id = (await users.created("self", role="superadmin"))["user_id"]
    for fields in ({"role": "admin"}, {"status": "inactive"}):
        refusal = rejected(await change(users, user_id, by=user_id, **fields))
        assert (refusal.kind, refusal.code) == ("forbidden", "own_account")
    assert isinstance(await change(users, user_id, by=user_id, full_name="Me"), Accepted)
    await changed(users, user_id, role="user")


async def superadmins(users: Users) -> list[str]:
    rows = await users.database.fetch(
        "select user_id from accounts where role = 'superadmin' and status = 'active'"
    )
    return [row["user_id"] for row in rows]


@pytest.mark.parametrize(
    ("loss", "restored"),
    [
        ({"role": "admin"}, {"role": "superadmin"}),
        ({"status": "inactive"}, {"status": "active"}),
    ],
)
async def test_ten_at_once_who_take_charge_from_two_leave_one_in_charge(
    users: Users, loss: dict[str, Any], restored: dict[str, Any]
) -> None:
    second = (await users.created(f"chief{new_id()}", role="superadmin"))["user_id"]
    both = await superadmins(users)
    assert len(both) == 2
    replies = await users.together(*[ChangeUser(user_id=both[n % 2], **loss) for n in range(10)])
    refused = [rejected(reply) for reply in replies if not isinstance(reply, Accepted)]
    assert {(refusal.kind, refusal.code) for refusal in refused} == {
        ("conflict", "last_superadmin")
    }
    assert len(await superadmins(users)) == 1
    for user_id in both:
        await changed(users, user_id, **restored)
    await changed(users, second, role="user")


async def test_two_who_take_charge_from_each_other_leave_one(users: Users) -> None:
    (first,) = await superadmins(users)
    second = (await users.created("rival", role="superadmin"))["user_id"]
    demote, deactivate = (
        ChangeUser(user_id=second, role="monitor"),
        ChangeUser(user_id=first, status="inactive"),
    )
    replies = await users.together(demote, deactivate)
    assert sum(isinstance(reply, Accepted) for reply in replies) == 1
    assert len(await superadmins(users)) == 1
    await changed(users, first, status="active")
    await changed(users, second, role="user")
