"""A thousand races of an assignment against a deletion, with crashes: nobody is left dangling."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from shared.contracts.policies import PolicyKind
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.testing.eventually import eventually
from shared.testing.services import ServiceProcess
from tests.users.integration.harness import Ground, Users
from tests.users.integration.racing import Arena, Contest, contest

NAMES_OF_A_KIND: Final = 8
ROUNDS: Final = 42
KILLED_AFTER: Final = (60, 180, 300, 420, 540, 660)  # races; the services by turns
KINDS: Final[tuple[PolicyKind, ...]] = ("keypair", "user", "project")

Name = tuple[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def arena(users: Users, ground: Ground) -> AsyncIterator[Arena]:
    pool = await open_pool(ground.policies.environ["QM_DATABASE_URL"], name="another policies")
    log = EventLog(pool, codec_for("policies"))
    another = ServiceProcess("users", ground.environ)  # each does what the other is not asked
    await another.start()
    processes = {"users": users.service, "policies": ground.policies}
    yield Arena(users, ground.nats, log, processes)
    await another.stop()
    await pool.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(ground: Ground) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(ground.admin_url)
    yield connection
    await connection.close()


async def _kills(arena: Arena) -> None:
    services = list(arena.processes)
    raced = 0
    for turn, due in enumerate(KILLED_AFTER):
        while raced < due:
            await arena.raced.get()
            raced += 1
        await arena.kill(services[turn % len(services)])


async def _all_rounds(one: Contest) -> None:
    for _ in range(ROUNDS):
        await one.race()


@pytest.mark.timeout(600)
async def test_a_thousand_assignments_raced_against_deletions_leave_nobody_dangling(
    arena: Arena, database: asyncpg.Connection
) -> None:
    contests = [
        await contest(arena, kind, f"{kind}-{number}")
        for kind in KINDS
        for number in range(NAMES_OF_A_KIND)
    ]
    async with asyncio.TaskGroup() as group:
        for one in contests:
            group.create_task(_all_rounds(one))
        group.create_task(_kills(arena))
    assert len(contests) * ROUNDS >= 1000

    async def everything_is_finished() -> bool:
        return await database.fetchval(HALF_DONE) == 0

    await eventually(everything_is_finished)
    assert await database.fetch(DANGLING) == []
    story = await Story.read(database)
    story.check_assignments()
    story.check_deletions()
    outcomes = arena.outcomes
    for expected in (
        "assignment: accepted",
        "assignment: unknown_policy",
        "deletion: accepted",
        "deletion: policy_in_use",
        "deletion: died",
    ):
        assert outcomes[expected], f"{expected} has not been tried: {outcomes}"
    assert outcomes["users killed"] == outcomes["policies killed"] == len(KILLED_AFTER) / 2


# the policies that there are
_ALIVE: Final = """
    select split_part(stream, '-', 1) as kind, data->>'name' as name, max(position) as created
        from policies.events
        where type ~ 'PolicyCreated$' and not exists (
            select from policies.events later where later.stream = events.stream
                and later.type ~ 'PolicyDeleted$' and later.position > events.position)
        group by 1, 2
"""
HALF_DONE: Final = f"""
    with alive as ({_ALIVE})
    select count(*) from alive join users.retired_policies using (kind, name, created)
"""
DANGLING: Final = f"""
    with alive as ({_ALIVE}), given as (
        select 'keypair' as kind, access_key as id, resource_policy as name from users.keypairs
        union all select 'user', user_id, resource_policy from users.accounts
        union all select 'project', project_id, resource_policy from users.projects
    )
    select * from given left join alive using (kind, name) where alive.name is null
"""


class Story:
    """Both logs, told from the beginning."""

    def __init__(self, users: list[dict[str, Any]], policies: list[dict[str, Any]]) -> None:
        self._users = users
        self._policies = policies
        self._lives: dict[Name, list[tuple[datetime, int]]] = defaultdict(list)
        for event in policies:
            if event["type"].endswith("PolicyCreated"):
                life = (event["recorded_at"], event["position"])
                self._lives[_named(event)].append(life)

    @classmethod
    async def read(cls, database: asyncpg.Connection) -> "Story":
        sql = (
            "select position, type, stream, data::text as data, recorded_at"
            " from {}.events order by position"
        )
        logs = [
            [
                {**row, "data": json.loads(row["data"])}
                for row in await database.fetch(sql.format(s))
            ]
            for s in ("users", "policies")
        ]
        return cls(*logs)

    def check_assignments(self) -> None:
        """Nobody has a policy when it is retired, and nobody gets one that was."""
        holding: dict[tuple[str, str], Name] = {}
        retired: dict[Name, int] = {}
        for event in self._users:
            data = event["data"]
            match event["type"]:
                case "PolicyRetired":
                    name = (data["kind"], data["name"])
                    assert name not in holding.values(), f"{name} is retired while it is used"
                    retired[name] = data["created"]
                case "PolicyReinstated":
                    name = (data["kind"], data["name"])
                    assert retired.pop(name, 0) == data["created"], f"{name} was not retired"
                case _ if "resource_policy" in data:
                    kind, holder = _holder(event)
                    name = (kind, data["resource_policy"])
                    holding[kind, holder] = name
                    since = retired.pop(name, 0)
                    assert self._life(name, event["recorded_at"]) > since, f"{name} was retired"

    def _life(self, name: Name, at: datetime) -> int:
        """Return the position at which the policy was created that there was at a time."""
        if name[1] == "default":  # the first administrator has it before it is made
            return 1
        return max(position for when, position in self._lives[name] if when <= at)

    def check_deletions(self) -> None:
        """What is deleted was retired before, and not reinstated."""
        standing: dict[tuple[Name, int], bool] = {}
        for event in self._users:
            if event["type"] in ("PolicyRetired", "PolicyReinstated"):
                data = event["data"]
                which = ((data["kind"], data["name"]), data["created"])
                standing[which] = event["type"] == "PolicyRetired"
        alive: dict[Name, int] = {}
        for event in self._policies:
            if event["type"].endswith("PolicyCreated"):
                alive[_named(event)] = event["position"]
            elif event["type"].endswith("PolicyDeleted"):
                name = _named(event)
                assert standing.get((name, alive.pop(name))), f"{name} was not retired"


def _named(event: dict[str, Any]) -> Name:
    return event["stream"].partition("-")[0], event["data"].get("name", "")


def _holder(event: dict[str, Any]) -> tuple[str, str]:
    data = event["data"]
    if event["type"].startswith("Keypair"):
        return "keypair", data["access_key"]
    return ("project", data["project_id"]) if "project_id" in data else ("user", data["user_id"])
