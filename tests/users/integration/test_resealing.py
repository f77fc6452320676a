"""A rotation of the master key under a running service: nothing is reissued, all goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.users.resealing import BATCH, COLUMNS
from shared.contracts.base import Accepted
from shared.contracts.users import BeginTotp, ResealSecrets
from shared.security.persons import PersonKey
from shared.security.rotation import rotate
from tests.users.integration.harness import ADMIN, Ground, Users, blocked, held

MANY = BATCH * 2 + 7


@pytest.fixture
def master(ground: Ground) -> Path:
    return Path(ground.environ["QM_MASTER_KEY_FILE"])


@pytest_asyncio.fixture(loop_scope="session")
async def people(users: Users) -> AsyncIterator[dict[str, bytes]]:
    """More persons than fit into one batch; their keys, by their ids."""
    people = [PersonKey.generate(f"person-{number:04}") for number in range(MANY)]
    await users.database.executemany(
        "insert into person_keys (user_id, sealed_key) values ($1, $2)",
        [(key.user_id, key.wrap(users.keyring, "person-key")) for key in people],
    )
    yield {key.user_id: key.secret for key in people}
    await users.database.execute("delete from person_keys where user_id like 'person-%'")


async def versions(users: Users) -> dict[str, set[str]]:
    found = {}
    for column in COLUMNS:
        rows = await users.database.fetch(
            f"select distinct split_part({column.column}, '.', 1) from {column.table}"
        )
        found[column.table] = {row[0] for row in rows}
    return found


async def reseal(users: Users, *, timeout_s: float = 20) -> dict[str, Any]:
    reply = await users.send(ResealSecrets(), timeout_s=timeout_s)
    assert isinstance(reply, Accepted), reply
    return dict(reply.result)


async def person_keys(users: Users, *user_ids: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for user_id, sealed in (await users.keys(*user_ids)).items():
        assert sealed is not None
        found[user_id] = PersonKey.unwrap(users.keyring, user_id, sealed).secret
    return found


async def test_every_column_of_secrets_is_resealed(users: Users) -> None:
    rows = await users.database.fetch(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'users' and column_name like 'sealed%'"
    )
    assert {tuple(row) for row in rows} == {(column.table, column.column) for column in COLUMNS}


async def test_a_kill_in_the_middle_and_a_second_rotation_lose_nothing(
    users: Users, ground: Ground, master: Path, people: dict[str, bytes]
) -> None:
    kim = await users.created("rotated")
    access_key = kim["access_key"]
    secret = users.open_secret(access_key, kim["sealed_secret_key"])
    assert isinstance(await users.send(BeginTotp(user_id=kim["user_id"])), Accepted)
    first = rotate(master, None).previous
    async with held(ground, "person_keys", "user_id", f"person-{BATCH + 50:04}"):
        lost = asyncio.ensure_future(users.send(ResealSecrets()))
        await blocked(users.database)
        await users.service.kill()
    lost.cancel()
    halfway = {str(first), str(first + 1)}
    assert (await versions(users))["person_keys"] == halfway, "it was in the middle"
    await users.service.start()
    assert await person_keys(users, *people) == people

    assert rotate(master, None).version == first + 2
    done = await reseal(users)
    assert (done["key_version"], done["remaining"], done["unreadable"]) == (first + 2, 0, 0)
    assert done["resealed"] > MANY
    assert set().union(*(await versions(users)).values()) == {str(first + 2)}
    assert await person_keys(users, *people) == people
    assert await users.secrets(access_key) != {access_key: None}
    sealed = (await users.secrets(access_key))[access_key]
    assert users.open_secret(access_key, str(sealed)) == secret
    assert isinstance(await users.log_in("rotated@example.org"), Accepted)
    assert isinstance(await users.log_in(ADMIN["email"], ADMIN["password"]), Accepted)
    assert (await reseal(users))["resealed"] == 0


async def test_a_service_that_runs_on_seals_with_the_new_key_and_opens_what_its_peer_seals(
    users: Users, master: Path
) -> None:
    rotate(master, None)
    made = await users.created("afterwards")
    assert users.open_secret(made["access_key"], made["sealed_secret_key"])
    stored = await users.database.fetchval(
        "select sealed_key from person_keys where user_id = $1", made["user_id"]
    )
    assert stored.startswith(f"{users.keyring.current}.")
    assert isinstance(await users.log_in("afterwards@example.org"), Accepted)


async def test_asking_at_the_last_moment_leaves_the_rest_for_the_next_time(
    users: Users, master: Path, people: dict[str, bytes]
) -> None:
    await reseal(users)
    rotate(master, None)
    assert (await reseal(users, timeout_s=2))["remaining"] >= len(people)
    done = await reseal(users)
    assert (done["remaining"], done["resealed"] >= len(people)) == (0, True)


async def test_what_does_not_open_is_counted_and_left_as_it_is(users: Users, master: Path) -> None:
    await reseal(users)
    broken = f"1.{'A' * 80}"
    await users.database.execute(
        "insert into person_keys (user_id, sealed_key) values ('broken', $1)", broken
    )
    rotate(master, None)
    try:
        done = await reseal(users)
        kept = await users.database.fetchval(
            "select sealed_key from person_keys where user_id = 'broken'"
        )
    finally:
        await users.database.execute("delete from person_keys where user_id = 'broken'")
    assert (done["unreadable"], done["remaining"], kept) == (1, 0, broken)
    assert "secret_unreadable" in users.service.output
    assert broken not in users.service.output
