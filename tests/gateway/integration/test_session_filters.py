"""Everything that narrows and orders the list of sessions, against what its documents say."""

import pytest
import pytest_asyncio

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import eventually
from tests.gateway.integration.test_sessions import batch, finished, placed

PREFIX = f"filtered{new_id()[-8:]}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def documents(stack, admin):
    """Five sessions of one name: done, failed, cancelled, running, and one on another agent."""
    agents = {"a1": "default", "b2": "default"}

    async def beating():
        for agent_id, group in agents.items():
            await stack.beat(agent_id, group=group)
        return (await admin.get("/v1/agents")).json()["items"]

    await eventually(
        beating, lambda items: {one["id"] for one in items if one["live"]} >= {*agents}
    )

    async def made(called, **more):
        answer = await admin.post("/v1/sessions", json=batch(name=f"{PREFIX}-{called}", **more))
        assert answer.status_code == 201, answer.text
        return answer.json()

    done = await made("done", priority=3)
    await stack.run(await placed(admin, done))
    await finished(stack, admin, done)
    failed = await placed(admin, await made("failed", resources={"cpu": 2, "mem": "512m"}))
    await stack.run(failed)
    await stack.end(failed, exit_code=3)
    later = await made("later", starts_at="2199-01-01T00:00:00Z")
    assert (await admin.delete(f"/v1/sessions/{later['id']}")).status_code == 204
    first = await placed(admin, await made("first", type="interactive", command=None))
    await stack.run(first)
    second = await placed(admin, await made("second", resources={"cpu": 4, "mem": "256m"}))
    await stack.run(second)

    async def listed():
        return (await admin.get(f"/v1/sessions?name={PREFIX}&sort=created_at")).json()["items"]

    wanted = {"TERMINATED": 2, "CANCELLED": 1, "RUNNING": 2}
    found = await eventually(
        listed,
        lambda items: (
            {status: sum(one["status"] == status for one in items) for status in wanted} == wanted
        ),
    )
    yield found
    await finished(stack, admin, first, second)
    await stack.beat("b2", goodbye="stopped")

    async def gone():
        return (await admin.get("/v1/agents/b2")).json()

    await eventually(gone, lambda one: one["status"] == "TERMINATED")


async def names(client, query):
    answer = await client.get(f"/v1/sessions?name={PREFIX}&sort=created_at&{query}")
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["items"]]


FILTERS = {
    "status=RUNNING": lambda one: one["status"] == "RUNNING",
    "status=RUNNING&status=CANCELLED": lambda one: one["status"] in {"RUNNING", "CANCELLED"},
    "type=interactive": lambda one: one["type"] == "interactive",
    "resource_group=default": lambda _: True,
    "resource_group=nowhere": lambda _: False,
    "priority=3": lambda one: one["priority"] == 3,
    "result=failure": lambda one: one["result"] == "failure",
    "status_info=task-finished": lambda one: one["status_info"] == "task-finished",
    "image=HOST": lambda _: True,
    "agent=a1": lambda one: "a1" in one["agents"],
    "agent=b2": lambda one: "b2" in one["agents"],
    "agent=a1&agent=b2": lambda one: one["agents"] != [],
    "agent=a": lambda _: False,
    "started_from=2020-01-01T00:00:00Z": lambda one: one["times"]["started_at"] is not None,
    "terminated_to=2199-01-01T00:00:00Z": lambda one: one["times"]["terminated_at"] is not None,
    "created_from=2199-01-01T00:00:00Z": lambda _: False,
}


@pytest.mark.parametrize("query", FILTERS)
async def test_a_filter_finds_what_the_documents_say(admin, documents, query):
    wanted = [one["name"] for one in documents if FILTERS[query](one)]
    assert await names(admin, query) == wanted
    both = [one for one in wanted if not one.endswith("-done")]
    assert [one for one in await names(admin, f"{query}&name=-") if one in both] == both


async def test_a_session_s_people_narrow_the_list(admin, documents):
    everything = [one["name"] for one in documents]
    one = documents[0]
    for field in ("user_id", "domain", "project", "access_key"):
        if one[field] is not None:
            assert await names(admin, f"{field}={one[field]}") == everything
        assert await names(admin, f"{field}=nobody") == []


async def test_a_span_holds_its_beginning_and_not_its_end(admin, documents):
    times = [one["created_at"] for one in documents]
    called = [one["name"] for one in documents]
    assert await names(admin, f"created_from={times[1]}&created_to={times[3]}") == called[1:3]


@pytest.mark.parametrize("key", ["priority", "status", "started_at", "terminated_at", "name"])
async def test_the_list_is_ordered_and_paged_by_what_was_asked(admin, documents, key):
    def value(one):
        found = one["times"].get(key) if key.endswith("_at") else one[key]
        return (found or "", one["id"]) if key != "priority" else (found, one["id"])

    ordered = [one["id"] for one in sorted(documents, key=value)]
    found, cursor = [], ""
    while True:
        page = (await admin.get(f"/v1/sessions?name={PREFIX}&limit=2&sort={key}{cursor}")).json()
        found += [one["id"] for one in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == ordered


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("created_from=yesterday", "created_from"),
        ("created_at=2026-01-01T00:00:00Z", "created_at"),
        ("sort=agent", "sort"),
        ("status=ALIVE", "status"),
        ("colour=red", "colour"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(admin, query, field):
    answer = await admin.get(f"/v1/sessions?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


async def test_an_export_is_narrowed_as_the_list_is(admin, documents):
    answer = await admin.get(f"/v1/exports/sessions.csv?name={PREFIX}&agent=b2&columns=name")
    wanted = [one["name"] for one in documents if "b2" in one["agents"]]
    assert sorted(answer.text.split()[1:]) == sorted(wanted)


def numbers(stats, *names):
    return {name: stats[name] for name in names}


async def statistics(client, query=""):
    answer = await client.get(f"/v1/sessions/statistics?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_statistics_are_what_adding_up_the_documents_gives(admin, documents, person):
    found = await statistics(admin, f"name={PREFIX}")
    assert found["submitted"] == len(documents)
    for field in ("status", "type", "result"):
        wanted = {}
        for one in documents:
            wanted[one[field]] = wanted.get(one[field], 0) + 1
        assert found[f"by_{field}"] == wanted
    waited = sorted(lengths(documents, "created_at", "scheduled_at"))
    ran = sorted(lengths(documents, "started_at", "terminated_at"))
    for name, wanted in (("waiting", waited), ("running", ran)):
        assert found[name]["count"] == len(wanted)
        assert found[name]["mean_s"] == pytest.approx(sum(wanted) / len(wanted), abs=1e-3)
        assert found[name]["max_s"] == pytest.approx(wanted[-1], abs=1e-3)
    assert found["waiting"]["p50_s"] == pytest.approx((waited[1] + waited[2]) / 2, abs=1e-3)
    over = [one for one in documents if one["times"]["terminated_at"]]
    least = sum(
        length * float(one["requested"]["cpu"]) / 3600
        for one in over
        for length in lengths([one], "scheduled_at", "terminated_at")
    )
    assert found["use"]["sessions"] == 4
    assert found["use"]["cpu_hours"] > least
    ended = await statistics(admin, f"name={PREFIX}&status=TERMINATED")
    assert ended["use"]["cpu_hours"] == pytest.approx(least, rel=1e-3)
    assert [one["resource_group"] for one in found["resource_groups"]] == ["default"]
    assert [one["email"] for one in found["users"]] == ["root@example.org"]
    assert found["users"][0]["cpu_hours"] == found["use"]["cpu_hours"]


def lengths(documents, start, end):
    from datetime import datetime

    def at(one, name):
        return datetime.fromisoformat(one["times"][name])

    return [
        (at(one, end) - at(one, start)).total_seconds()
        for one in documents
        if one["times"][start] and one["times"][end]
    ]


async def test_statistics_are_of_the_span_and_of_what_the_caller_sees(admin, documents, person):
    _, stranger = person
    assert (await statistics(stranger, f"name={PREFIX}"))["submitted"] == 0
    # what ran then began before the span: it counts as held, and as nothing else
    middle = documents[-1]["times"]["scheduled_at"]
    found = await statistics(admin, f"name={PREFIX}&from={middle}&status=RUNNING")
    assert found["use"]["sessions"] == 2
    assert found["submitted"] == sum(one["created_at"] >= middle for one in documents)
    nothing = await statistics(
        admin, f"name={PREFIX}&from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z"
    )
    assert nothing["by_status"] == {}
    assert nothing["waiting"] == dict.fromkeys(nothing["waiting"]) | {"count": 0}
    assert nothing["use"]["cpu_hours"] == 0
    held = await statistics(admin, f"name={PREFIX}&to={middle}")
    assert 0 < held["use"]["cpu_hours"] < found["use"]["cpu_hours"] + 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("from=2020-01-01T00:00:00Z&to=2022-01-01T00:00:00Z", "from"),
        ("from=soon", "from"),
        ("limit=3", "limit"),
        ("sort=name", "sort"),
        ("colour=red", "colour"),
    ],
)
async def test_statistics_that_cannot_be_are_refused_by_name(admin, query, field):
    answer = await admin.get(f"/v1/sessions/statistics?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
