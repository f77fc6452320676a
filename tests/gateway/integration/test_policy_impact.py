"""What a change of a policy would mean: who would be over it now, found without changing it."""

from datetime import timedelta

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.projections.agents import AgentsProjection
from services.gateway.projections.sessions import SessionsProjection
from services.gateway.projections.users import UsersProjection
from services.gateway.reads.models import ReadModels
from services.gateway.reads.policy_impact import policy_impact
from shared.contracts.policies import ChangeKeypairPolicy
from shared.eventlog.pool import open_pool
from shared.kernel.slots import render_amount
from shared.projections.generations import Generations
from shared.projections.projection import Tables
from tests.gateway.integration.people import made, project, refused, unique
from tests.gateway.integration.session_stories import START, lives, reckoned, recorded, told
from tests.gateway.integration.stories import PEOPLE, Keys, Story

SESSIONS = Tables(SessionsProjection.tables, 1)
KEYS = {"AK1": "u1-main", "AK2": "u2-main", None: None}
SLOTS = ("cpu", "mem", "cuda.shares")
BEFORE = {
    "lifetime_base": "started",
    "name": "default",
    "default_for_unspecified": "unlimited",
    "total_resource_slots": {"cpu": "1"},
}
few = st.integers(0, 3)
amounts = st.dictionaries(st.sampled_from(SLOTS), st.none() | st.integers(0, 2**61))


class Moving:
    """Positions that move with every look, so that nothing is remembered."""

    seen = 0

    def position(self, _source):
        self.seen += 1
        return self.seen


@pytest_asyncio.fixture(loop_scope="session")
async def reads(postgres):
    """The read models with three people whose keypairs all have the policy `default`."""
    pool = await open_pool(await postgres.database("gateway"), name="impact")
    keys = Keys()
    people, story = UsersProjection(keys), Story(1, keys)
    for projection in (people, SessionsProjection(), AgentsProjection()):
        await Generations(projection).prepare(pool)
    for user_id in PEOPLE:
        story.create(user_id)
    async with pool.acquire() as tx:
        await people.apply(tx, Tables(people.tables, 1), "users", story.recorded)
    yield ReadModels(pool, Moving())
    pool.terminate()


def over(held, waiting, change):
    """Return what is over a change, the obvious way: (id, field, slot, by how much)."""
    found = set()
    keys = {"u1-main", "u2-main"}
    limits = change.total_resource_slots
    for key in keys:
        for slot in SLOTS:
            unnamed = 0 if change.default_for_unspecified == "limited" else None
            most = limits.get(slot, unnamed)
            rest = held.get(("keypair", key, slot), 0) - (most or 0)
            if most is not None and rest > 0:
                found.add((key, "total_resource_slots", slot, rest))
            most = change.max_pending_session_resource_slots.get(slot)
            rest = waiting.get(("keypair", key, slot), 0) - (most or 0)
            if most is not None and rest > 0:
                found.add((key, "max_pending_session_resource_slots", slot, rest))
        for field, counts in (
            ("max_concurrent_sessions", held),
            ("max_pending_session_count", waiting),
        ):
            rest = counts.get(("keypair", key, ""), 0) - getattr(change, field)
            if rest > 0:
                found.add((key, field, None, rest))
    return found


@settings(max_examples=30, suppress_health_check=(HealthCheck.function_scoped_fixture,))
@given(
    lives=lives,
    stop=st.floats(0, 1),
    totals=amounts,
    pending=amounts,
    counts=st.tuples(few, few),
    unspecified=st.sampled_from(("limited", "unlimited")),
)
async def test_whoever_is_over_is_found_with_by_how_much(
    reads, lives, stop, totals, pending, counts, unspecified
):
    stories = [
        told(f"s{number}", {**life, "key": KEYS[life["key"]]}) for number, life in enumerate(lives)
    ]
    events = [event for story in stories for event in story[: 1 + int(stop * len(story))]]
    async with reads.pool.acquire() as tx:
        for table in SESSIONS:
            await tx.execute(f"truncate {SESSIONS(table)}")
        await SessionsProjection().apply(tx, SESSIONS, "scheduler", recorded(events))
    change = ChangeKeypairPolicy(
        name="default",
        default_for_unspecified=unspecified,
        total_resource_slots=totals,
        max_pending_session_resource_slots=pending,
        max_concurrent_sessions=counts[0],
        max_pending_session_count=counts[1],
    )
    found = await policy_impact(reads, "keypair", BEFORE, change, START)
    assert found.bound == len(PEOPLE)
    told_of = {(item.id, item.field, item.slot, item.over_by) for item in found.exceeding}
    wanted = {
        (key, field, slot, rest if slot is None else render_amount(slot, rest))
        for key, field, slot, rest in over(*reckoned(events), change)
    }
    assert told_of == wanted
    assert found.exceeding_total == len(wanted)


async def test_sessions_are_found_by_their_size_their_priority_and_their_age(reads):
    life = {
        "user": "u1",
        "key": "u1-main",
        "project": "p1",
        "domain": "east",
        "slots": {"cpu": 1000},
        "agents": ["a1", "a2", "a1"],
        "end": "run",
    }
    events = [*told("waiting", life)[:1], *told("running", life)[:7]]
    async with reads.pool.acquire() as tx:
        await SessionsProjection().apply(tx, SESSIONS, "scheduler", recorded(events))
    change = ChangeKeypairPolicy(
        name="default", max_containers_per_session=2, max_priority=9, max_session_lifetime=60
    )
    now = START + timedelta(seconds=108)  # the eighth event, at 8 s, is the session's start
    found = await policy_impact(reads, "keypair", BEFORE, change, now)
    assert [(item.name, item.field, item.used, item.over_by) for item in found.exceeding] == [
        ("running", "max_containers_per_session", 3, 1),
        ("waiting", "max_containers_per_session", 3, 1),
        ("waiting", "max_priority", 10, 1),
        ("running", "max_session_lifetime", 100, 40),
    ]
    assert {item.user_id for item in found.exceeding} == {"u1"}
    before = {**BEFORE, "max_session_lifetime": 60, "lifetime_base": "started"}
    waited_too = ChangeKeypairPolicy(name="default", lifetime_base="created")
    found = await policy_impact(reads, "keypair", before, waited_too, now)
    assert {(item.name, item.field, item.used) for item in found.exceeding} == {
        ("waiting", "max_session_lifetime", 107),
        ("running", "max_session_lifetime", 106),
    }


async def asked(admin, kind, name, patch):
    return await admin.post(f"/v1/{kind}-policies/{name}/impact", json={"patch": patch})


@pytest_asyncio.fixture(loop_scope="session")
async def policy(admin):
    answer = await admin.post(
        "/v1/keypair-policies", json={"name": unique("kp"), "total_resource_slots": {"cpu": 4}}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_asking_changes_nothing_and_says_who_is_bound(admin, policy):
    user = await made(admin)
    keypair = f"/v1/keypairs/{user['main_access_key']}"
    await admin.patch(keypair, json={"resource_policy": policy["name"]})
    patch = {"total_resource_slots": {"mem": "999p"}, "idle_timeout": 60}
    answer = await asked(admin, "keypair", policy["name"], patch)
    assert answer.status_code == 422, answer.text
    patch["total_resource_slots"] = {"cuda.shares": 99}
    answer = await asked(admin, "keypair", policy["name"], patch)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["bound"], found["exceeding"], found["exceeding_total"]) == (1, [], 0)
    assert found["unmeasured"] == ["idle_timeout"]
    assert (await admin.get(f"/v1/keypair-policies/{policy['name']}")).json() == {
        name: value for name, value in policy.items() if name != "warnings"
    }


async def test_a_limit_beyond_the_cluster_is_warned_of(admin, agent, policy):
    answer = await asked(admin, "keypair", policy["name"], {"total_resource_slots": {"cpu": 500}})
    (warning,) = answer.json()["warnings"]
    assert (warning["field"], warning["slot"], warning["limit"]) == (
        "total_resource_slots",
        "cpu",
        "500",
    )


@pytest.mark.parametrize("kind", ["user", "project"])
async def test_what_other_policies_limit_is_said_not_to_be_measured_yet(admin, kind):
    name = unique("po")
    await admin.post(f"/v1/{kind}-policies", json={"name": name})
    if kind == "user":
        await made(admin, resource_policy=name)
    else:
        await project(admin, resource_policy=name)
    answer = await asked(admin, kind, name, {"max_folder_count": 1})
    assert answer.json() == {
        "bound": 1,
        "exceeding": [],
        "exceeding_total": 0,
        "unmeasured": ["max_folder_count"],
        "warnings": [],
    }


@pytest.mark.parametrize(
    "patch",
    [
        {"name": "another"},
        {"colour": "red"},
        {"total_resource_slots": {"cpu": 513}},
        {"total_resource_slots": {"cuda.device": 0.5}},
        {"total_resource_slots": {"cpu": "much"}},
        {"max_concurrent_sessions": -1},
        {"max_concurrent_sessions": "three"},
        {"allowed_hosts": {"local": ["eat"]}},
        {"is_default": None},
    ],
)
async def test_a_wrong_patch_is_refused_as_the_change_itself(admin, policy, patch):
    answer = await asked(admin, "keypair", policy["name"], patch)
    changed = await admin.patch(f"/v1/keypair-policies/{policy['name']}", json=patch)
    told_of = [answer.json(), changed.json()]
    for item in told_of:
        del item["request_id"]
    assert answer.status_code == changed.status_code in {400, 422}
    assert told_of[0] == told_of[1]


async def test_a_policy_that_is_not_there_has_no_impact(admin):
    refused(await asked(admin, "keypair", "nobody", {}), 404)
