"""The audit read model by itself: what was before, whose texts are opened, what stays sealed."""

import msgspec
import pytest_asyncio

from services.gateway.auth.principals import Principal
from services.gateway.history.reading import History
from services.gateway.history.rows import Span, Subject
from services.gateway.history.wanted import timeline_query, wanted_of_log
from services.gateway.projections.events import EventsProjection
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairDeactivated,
    LoginStarted,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    UserDeactivated,
    UserErased,
    UserFlagsChanged,
    UserMainKeypairSwitched,
    UserProfileChanged,
)
from shared.eventlog.pool import open_pool
from shared.projections.generations import Generations
from shared.projections.projection import NotYet, Tables
from tests.gateway.integration.stories import ROOT, START, Shown, Story
from tests.gateway.integration.stories import Keys as PersonKeys

GIB = 2**30


class Keys(PersonKeys):
    """Keys that can be away."""

    is_away = False

    async def get(self, user_ids):
        if self.is_away:
            raise NotYet("users is away")
        return await super().get(user_ids)


class Audit:
    """The audit read model beside that of users, and its reader."""

    tables = Tables(EventsProjection.tables, 1)

    def __init__(self, pool):
        self.keys = Keys()
        self.people = Shown(pool, self.keys)
        self.pool = pool
        self.projection = EventsProjection()
        self.history = History(pool, self.keys, self)
        self.story = Story(1, self.keys)
        self.applied = 0

    async def wait_for(self, *_asked, **_more):
        return True  # what is applied is there

    async def create(self):
        await self.people.create()
        await Generations(self.projection).prepare(self.pool)

    async def tell(self, *events):
        """Let something happen."""
        if events:
            self.story.add(*events)
        new = self.story.recorded[self.applied :]
        self.applied += len(new)
        await self.people.apply([new])
        async with self.pool.acquire() as tx, tx.transaction():
            await self.projection.apply(tx, self.tables, "users", new)

    async def timeline(self, aggregate, key, query="", principal=ROOT):
        asked = timeline_query(query)
        subject = Subject("users", aggregate, key)
        page = await self.history.timeline(principal, subject, asked)
        return [msgspec.json.decode(item) for item in page.items]

    async def newest(self, aggregate, key, **asked):
        return (await self.timeline(aggregate, key, **asked))[0]["changes"]


@pytest_asyncio.fixture(loop_scope="session")
async def audit(postgres):
    pool = await open_pool(await postgres.database("gateway"), name="audit")
    made = Audit(pool)
    await made.create()
    made.story.create("u1")
    await made.tell()
    yield made
    pool.terminate()


def change(before, after):
    return {"from": before, "to": after}


async def test_what_was_before_is_what_the_last_event_to_say_so_said(audit):
    sealed = audit.keys.text
    await audit.tell(UserProfileChanged(user_id="u1", full_name=sealed("u1", "full_name", "Ada")))
    assert await audit.newest("user", "u1") == {"full_name": change("full_name of u1", "Ada")}
    await audit.tell(UserProfileChanged(user_id="u1", username=sealed("u1", "username", "ada")))
    assert await audit.newest("user", "u1") == {"username": change("username of u1", "ada")}
    await audit.tell(UserProfileChanged(user_id="u1", full_name=sealed("u1", "full_name", "A.")))
    assert await audit.newest("user", "u1") == {"full_name": change("Ada", "A.")}
    await audit.tell(UserDeactivated(user_id="u1"))
    assert await audit.newest("user", "u1") == {"status": change("active", "inactive")}
    await audit.tell(UserFlagsChanged(user_id="u1", sudo_session_enabled=True))
    switched = change(before=False, after=True)
    assert await audit.newest("user", "u1") == {"sudo_session_enabled": switched}


async def test_limits_are_told_as_the_api_shows_them(audit):
    await audit.tell(DomainCreated(name="lab", total_resource_slots={"cpu": 4000, "mem": GIB}))
    await audit.tell(DomainChanged(name="lab", total_resource_slots={"cpu": None}))
    assert await audit.newest("domain", "lab") == {
        "total_resource_slots": change({"cpu": "4", "mem": str(GIB)}, {"cpu": None})
    }
    await audit.tell(DomainChanged(name="lab", total_resource_slots={"cpu": None}))
    assert await audit.newest("domain", "lab") == {}


async def test_members_are_told_each_by_itself_in_the_project_and_the_users_timeline(audit):
    audit.story.create("u2")
    await audit.tell(ProjectMemberRoleSet(project_id="p0", user_id="u1", role="admin"))
    expected = {"members.u1.role": change("member", "admin")}
    assert await audit.newest("project", "p0") == expected
    assert await audit.newest("user", "u1") == expected
    await audit.tell(ProjectMemberRemoved(project_id="p0", user_id="u2"))
    expected = {"members.u2.role": change("member", None)}
    assert await audit.newest("project", "p0") == expected
    assert await audit.newest("user", "u2") == expected
    assert await audit.newest("user", "u1") != expected


async def test_a_switch_of_the_main_keypair_is_in_the_timelines_of_both(audit):
    await audit.tell(audit.story.issued("u1", "other"))
    switched = {"user_id": "u1", "access_key": "other", "previous": "u1-main"}
    await audit.tell(UserMainKeypairSwitched(**switched))
    expected = {"main_access_key": change("u1-main", "other")}
    for aggregate, key in (("user", "u1"), ("keypair", "other"), ("keypair", "u1-main")):
        assert await audit.newest(aggregate, key) == expected
    await audit.tell(KeypairDeactivated(user_id="u1", access_key="u1-main"))
    assert await audit.newest("keypair", "u1-main") == {"status": change("active", "inactive")}
    assert await audit.newest("keypair", "other") == expected


async def test_of_an_erased_person_nothing_personal_is_told_but_that_it_changed(audit):
    sealed = audit.keys.text
    await audit.tell(UserProfileChanged(user_id="u1", full_name=sealed("u1", "full_name", "Ada")))
    await audit.tell(UserDeactivated(user_id="u1"), UserErased(user_id="u1"))
    entries = await audit.timeline("user", "u1", "limit=500")
    by_type = {item["type"]: item["changes"] for item in entries}
    assert by_type["UserProfileChanged"] == {"full_name": change(None, None)}
    assert by_type["UserCreated"]["email"] == change(None, None)
    assert by_type["UserErased"] == {"erased": change(before=None, after=True)}
    assert "Ada" not in str(entries)
    assert "of u1" not in str(entries)


async def test_the_table_holds_no_personal_text_and_no_token(audit):
    started = LoginStarted(login_id="l1", user_id="u1", token_hash="f00d", expires_at=START)
    await audit.tell(started)
    rows = await audit.pool.fetch("select data from audit_events")
    text = " ".join(row["data"] for row in rows)
    assert "of u1" not in text
    assert "f00d" not in text
    assert "token_hash" not in str(await audit.timeline("user", "u1"))


async def test_while_the_keys_are_away_personal_texts_are_not_guessed(audit):
    audit.keys.is_away = True
    subject = Subject("users", "user", "u1")
    refused = await audit.history.timeline(ROOT, subject, timeline_query(""))
    assert (refused.kind, refused.code) == ("unavailable", "service_away")
    assert await audit.timeline("keypair", "u1-main")


async def test_names_are_told_of_actors_in_sight_only(audit):
    audit.story.create("root")
    await audit.tell()
    stranger = Principal(user_id="u1", role="user", domain="default", method="token")
    seen = (await audit.timeline("user", "u1"))[0]["actor"]
    assert seen == {"kind": "user", "id": "root", "name": "username of root"}
    assert (await audit.timeline("user", "u1", principal=stranger))[0]["actor"]["name"] is None


async def test_the_log_is_counted_as_it_is_listed(audit):
    for user_id in ("u2", "u3"):
        audit.story.create(user_id)
        for _ in range(20):
            audit.story.change(user_id)
    await audit.tell()
    for query in ("", "type=KeypairIssued", "aggregate=keypair&aggregate=user", "actor=root"):
        span, asked = wanted_of_log(query)
        page = await audit.history.log(ROOT, span, asked._replace(limit=3))
        whole = await audit.history.log(ROOT, span, asked._replace(limit=500))
        assert page.total == whole.total == len(whole.items), query
        assert page.items == whole.items[:3]
    nothing = Span(types=frozenset(), services=frozenset(), is_narrowed_by_type=True)
    assert (await audit.history.log(ROOT, nothing, wanted_of_log("")[1])).total == 0
