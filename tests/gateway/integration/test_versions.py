"""How users and keypairs were at a moment: equal to the fold of the events up to it, always."""

import random
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from services.gateway.auth.principals import Principal
from services.gateway.http.parameters import ListQuery, SortKey
from services.gateway.projections.users_fold import Batch, fold
from services.gateway.reads.users import KEYPAIRS, USERS
from shared.contracts.users import LoginStarted, UserDeactivated, UserErased, UserRoleChanged
from shared.eventlog.pool import open_pool
from tests.gateway.integration.stories import PEOPLE, ROOT, START, Keys, Shown, Story

USED = {"requests_in_window", "last_used_at"}


@pytest_asyncio.fixture(loop_scope="session")
async def shown(postgres):
    pool = await open_pool(await postgres.database("gateway"), name="versions")
    made = Shown(pool, Keys())
    await made.create()
    yield made
    pool.terminate()


def plain(documents):
    return {key: msgspec.to_builtins(document) for key, document in documents.items()}


async def folded(recorded, moment, keys):
    """Return users and keypairs as the fold of the events up to a moment."""
    batch = Batch()
    known = await keys.get(PEOPLE)
    for item in recorded:
        if item.recorded_at <= moment:
            fold(batch, item, known)
    return plain(batch.users), plain(batch.keypairs)


def cut(recorded, chosen):
    """Cut the events into batches, also in the middle of what was recorded together."""
    left = list(recorded)
    while left:
        size = chosen.choice((1, 2, 3, 7, 20))
        yield left[:size]
        left = left[size:]


def without_use(keypairs):
    return {
        key: {name: value for name, value in item.items() if name not in USED}
        for key, item in keypairs.items()
    }


@pytest.mark.parametrize("seed", range(4))
async def test_every_moment_shows_the_fold_of_the_events_up_to_it(shown, seed):
    keys = shown.keys
    story = Story(seed, keys).told(40)
    await shown.apply(cut(story.recorded, random.Random(seed)))
    moments = {item.recorded_at for item in story.recorded}
    around = {moment + timedelta(microseconds=step) for moment in moments for step in (-1, 0, 1)}
    for moment in sorted(around):
        users, keypairs = await folded(story.recorded, moment, keys)
        assert await shown.at(USERS, moment) == users, moment
        assert without_use(await shown.at(KEYPAIRS, moment)) == keypairs, moment


async def test_the_past_is_filtered_sorted_and_sought_as_the_present_is(shown):
    story = Story(9, shown.keys)
    for user_id in PEOPLE:
        story.create(user_id)
    before = story.at
    story.add(UserDeactivated(user_id="u2"), UserRoleChanged(user_id="u3", role="monitor"))
    await shown.apply([story.recorded])
    active = (("status", ("active",)),)
    assert set(await shown.at(USERS, before, filters=active)) == {"u1", "u2", "u3"}
    assert set(await shown.at(USERS, story.at, filters=active)) == {"u1", "u3"}
    assert set(await shown.at(USERS, None, filters=active)) == {"u1", "u3"}
    query = ListQuery(limit=2, sort=(SortKey("email", descending=True),), at=before)
    page = await shown.reads.page(USERS, ROOT, query)
    assert [item["id"] for item in page.documents()] == ["u3", "u2"]
    assert (page.total, page.next_cursor is None) == (3, False)
    own = Principal(user_id="u2", role="user", domain="default", method="token")
    assert (await shown.reads.page(USERS, own, ListQuery(at=before))).total == 1
    hidden = await shown.reads.document(USERS, own, "u1", before)
    assert hidden.code == "user_not_found"


async def test_logging_in_makes_no_version(shown):
    story = Story(5, shown.keys)
    story.create("u1")
    for number in range(20):
        started = {"user_id": "u1", "token_hash": "h", "expires_at": START}
        story.add(LoginStarted(login_id=f"l{number}", **started))
    await shown.apply([story.recorded[:10], story.recorded[10:]])
    assert await shown.pool.fetchval("select count(*) from user_versions") == 0
    logged_in = [item.recorded_at for item in story.recorded[3:]]
    for moment, before in zip(logged_in[1:], logged_in, strict=False):
        found = await shown.at(USERS, moment - timedelta(microseconds=1))
        assert datetime.fromisoformat(found["u1"]["last_login_at"]) == before


@pytest.mark.parametrize("size", [1, 100])
async def test_of_an_erased_person_no_version_says_anything(shown, size):
    story = Story(7, shown.keys).told(30)
    story.add(UserErased(user_id="u1"))
    batches = [
        story.recorded[start : start + size] for start in range(0, len(story.recorded), size)
    ]
    await shown.apply(batches)
    for moment in {item.recorded_at for item in story.recorded}:
        found = (await shown.at(USERS, moment)).get("u1")
        if found is not None:
            texts = {found[name] for name in ("email", "username", "full_name", "description")}
            assert texts == {None}
            assert found["erased"]
    rows = await shown.pool.fetch(
        "select doc, email, username, full_name, description from user_versions where id = 'u1'"
    )
    assert rows
    for row in rows:
        assert list(row)[1:] == [""] * 4
        assert "of u1" not in row["doc"]
        assert "name " not in row["doc"]
    assert "of u2" in await shown.pool.fetchval("select doc from user_versions where id = 'u2'")


async def test_the_same_rows_come_of_single_events_and_of_one_batch(shown, postgres):
    keys = shown.keys
    story = Story(3, keys).told(30)
    await shown.apply([[item] for item in story.recorded])
    pool = await open_pool(await postgres.database("gateway"), name="other")
    other = Shown(pool, keys)
    await other.create()
    await other.apply([story.recorded])
    for table in ("users", "user_versions", "keypairs", "keypair_versions"):
        columns = "id, valid_from" + (", valid_to" if "versions" in table else "")
        statement = f"select {columns} from {table} order by 1, 2"
        assert await _rows(shown.pool, statement) == await _rows(pool, statement), table
    pool.terminate()


async def _rows(pool: asyncpg.Pool, statement: str):
    return [tuple(row) for row in await pool.fetch(statement)]
