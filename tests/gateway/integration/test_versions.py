"""How users and keypairs were at a moment: equal to the fold of the events up to it, always."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from services.gateway.auth.principals import Principal
from services.gateway.http.parameters import ListQuery, SortKey
from services.gateway.projections.users import UsersProjection
from services.gateway.projections.users_fold import Batch, fold
from services.gateway.reads.models import ReadModels
from services.gateway.reads.past import Past
from services.gateway.reads.users import KEYPAIRS, USERS
from shared.contracts.base import Actor, Meta
from shared.contracts.users import (
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairRateLimitSet,
    LoginStarted,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserMainKeypairSwitched,
    UserProfileChanged,
    UserRoleChanged,
)
from shared.eventlog.pool import open_pool
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables
from shared.security.persons import PersonKey, seal_text

START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Principal(user_id="root", role="superadmin", domain="default", method="token")
PEOPLE = ("u1", "u2", "u3")
USED = {"requests_in_window", "last_used_at"}


class Keys:
    """The keys of persons, as the users service would give them."""

    def __init__(self):
        self.kept = {user_id: PersonKey.generate(user_id) for user_id in PEOPLE}

    async def get(self, user_ids):
        return {user_id: self.kept[user_id] for user_id in user_ids}

    def forget(self, user_id):
        """Nothing is remembered here."""

    def text(self, user_id, field, text):
        return seal_text(self.kept[user_id], field, text)


class Story:
    """Events of users in the order of a log, some of them at the same moment."""

    def __init__(self, seed, keys):
        self.random = random.Random(seed)
        self.keys = keys
        self.at = START
        self.recorded = []

    def add(self, *events):
        """Append events that are recorded together."""
        self.at += timedelta(seconds=self.random.randint(1, 5))
        for event in events:
            number = len(self.recorded) + 1
            self.recorded.append(
                Recorded(
                    position=number,
                    stream=f"{event.AGGREGATE}-{event.key()}",
                    version=number,
                    type=type(event).__name__,
                    schema_version=1,
                    event=event,
                    meta=Meta(actor=Actor("user", "root"), correlation_id="c"),
                    event_id=str(number),
                    recorded_at=self.at,
                )
            )

    def create(self, user_id):
        sealed = {
            field: self.keys.text(user_id, field, f"{field} of {user_id}")
            for field in ("email", "username", "full_name", "description")
        }
        self.add(
            UserCreated(
                user_id=user_id,
                domain="default",
                role="user",
                status="active",
                resource_policy="default",
                **sealed,
            ),
            self.issued(user_id, f"{user_id}-main", is_main=True),
            ProjectMemberAdded(project_id="p0", user_id=user_id),
        )

    def issued(self, user_id, access_key, *, is_main=False):
        return KeypairIssued(
            access_key=access_key,
            user_id=user_id,
            is_main=is_main,
            status="active",
            resource_policy="default",
            rate_limit=100,
        )

    def change(self, user_id):
        """Append something that changes a user or one of the user's keypairs."""
        number = len(self.recorded)
        main = {"access_key": f"{user_id}-main", "user_id": user_id}
        name = self.keys.text(user_id, "full_name", f"name {number}")
        choices = (
            (UserProfileChanged(user_id=user_id, full_name=name),),
            (UserDeactivated(user_id=user_id),),
            (UserActivated(user_id=user_id), UserRoleChanged(user_id=user_id, role="admin")),
            (ProjectMemberAdded(project_id=f"p{number}", user_id=user_id),),
            (ProjectMemberRemoved(project_id="p0", user_id=user_id),),
            (KeypairDeactivated(**main),),
            (KeypairActivated(**main),),
            (KeypairRateLimitSet(**main, rate_limit=number),),
            (
                LoginStarted(
                    login_id=f"l{number}", user_id=user_id, token_hash="h", expires_at=self.at
                ),
            ),
        )
        self.add(*self.random.choice(choices))

    def told(self, steps):
        """Tell of three people, who have one keypair more for a while."""
        for user_id in PEOPLE:
            self.create(user_id)
            self.change(user_id)
        for step in range(steps):
            self.change(self.random.choice(PEOPLE))
            other = {"access_key": "other", "user_id": "u1"}
            if step == steps // 3:
                self.add(self.issued("u1", "other"))
                switched = {"user_id": "u1", "access_key": "other", "previous": "u1-main"}
                self.add(UserMainKeypairSwitched(**switched))
            if step == steps // 2:
                back = {"user_id": "u1", "access_key": "u1-main", "previous": "other"}
                self.add(UserMainKeypairSwitched(**back), KeypairDeactivated(**other))
                self.add(KeypairDeleted(**other))
        return self


class Shown:
    """The read model of a story, applied in batches."""

    tables = Tables(UsersProjection.tables, 1)

    def __init__(self, pool, keys):
        self.pool = pool
        self.projection = UsersProjection(keys)
        self.reads = ReadModels(pool, self)
        past = Past(pool)
        self.reads.decorate_past(USERS, past.users)
        self.reads.decorate_past(KEYPAIRS, past.keypairs)
        self.moved = 0

    def position(self, _source):
        self.moved += 1
        return self.moved  # nothing is remembered

    async def create(self):
        async with self.pool.acquire() as tx:
            await self.projection.create(tx, self.tables)
            for name in self.tables:
                await tx.execute(f"create view {name} as select * from {self.tables(name)}")

    async def apply(self, batches):
        for batch in batches:
            async with self.pool.acquire() as tx, tx.transaction():
                await self.projection.apply(tx, self.tables, "users", batch)

    async def at(self, resource, moment, **asked):
        query = ListQuery(limit=500, sort=(SortKey("created_at", descending=False),), **asked)
        page = await self.reads.page(resource, ROOT, query._replace(at=moment))
        return {item["id"]: item for item in page.documents()}


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
    keys = shown.projection._keys
    story = Story(seed, keys).told(40)
    await shown.apply(cut(story.recorded, random.Random(seed)))
    moments = {item.recorded_at for item in story.recorded}
    around = {moment + timedelta(microseconds=step) for moment in moments for step in (-1, 0, 1)}
    for moment in sorted(around):
        users, keypairs = await folded(story.recorded, moment, keys)
        assert await shown.at(USERS, moment) == users, moment
        assert without_use(await shown.at(KEYPAIRS, moment)) == keypairs, moment


async def test_the_past_is_filtered_sorted_and_sought_as_the_present_is(shown):
    story = Story(9, shown.projection._keys)
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
    story = Story(5, shown.projection._keys)
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
    story = Story(7, shown.projection._keys).told(30)
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
    keys = shown.projection._keys
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
