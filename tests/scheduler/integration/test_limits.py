"""Limits as their owners meet them: what may wait, what may run, and from when on it holds."""

import asyncio

import pytest
import pytest_asyncio

from shared.contracts.agents import AgentTerminated
from shared.contracts.base import Accepted, Rejected
from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    SettingChanged,
    SettingReset,
)
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairDeleted,
    KeypairIssued,
    KeypairPolicyAssigned,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
)
from shared.kernel.ids import new_id
from tests.scheduler.integration.fake_node import DIGEST, FakeNode
from tests.scheduler.integration.harness import USER, world_of


class Owner:
    """A keypair with a policy of its own."""

    def __init__(self, world, **limits):
        self.world = world
        self.access_key = "AK" + new_id().replace("-", "")[-14:].upper()
        self.policy = f"policy of {self.access_key}"
        self.limits = limits

    async def issue(self):
        await self.world.policies.say(KeypairPolicyCreated(name=self.policy, **self.limits))
        await self.world.users.say(
            KeypairIssued(
                access_key=self.access_key,
                user_id=USER,
                is_main=False,
                status="active",
                resource_policy=self.policy,
                rate_limit=None,
            )
        )
        return self

    async def change(self, **limits):
        await self.world.policies.say(KeypairPolicyChanged(name=self.policy, **limits))

    async def ask(self, **more):
        return await self.world.enqueue(new_id()[-12:], access_key=self.access_key, **more)

    async def has(self, **more):
        """Have sessions in the queue, or running; return the id of the first."""
        ids = await self.world.enqueued(new_id()[-12:], access_key=self.access_key, **more)
        return ids[0]

    async def is_over(self, **more):
        reply = await self.ask(**more)
        assert isinstance(reply, Rejected), reply
        assert reply.rejection.code == "quota_exceeded", reply.rejection
        return {error.field for error in reply.rejection.errors}


@pytest_asyncio.fixture(loop_scope="session")
async def owner(world, node):
    async def make(**limits):
        return await Owner(world, **limits).issue()

    return make


async def reason_of(world, session_id):
    queue = await world.queue(limit=100)
    (entry,) = (entry for entry in queue.entries if entry.session_id == session_id)
    return entry.reason


async def is_scheduled(world, session_id):
    return "SessionScheduled" in await world.types_of(session_id)


async def starts(world, session_id):
    await world.event(session_id, "SessionScheduled")


async def ends(node, session_id):
    await node.report(await node.run(session_id), "terminated", exit_code=0)


def numbers(reason):
    return {
        (one.scope.partition(":")[0], one.slot): (one.used, one.requested, one.limit)
        for one in reason.violations
    }


async def test_three_of_four_run_and_the_fourth_starts_when_one_has_ended(world, node, owner):
    ada = await owner(max_concurrent_sessions=3)
    running = [await ada.has() for _ in range(3)]
    fourth = await ada.has()
    for session_id in running:
        assert await is_scheduled(world, session_id)
    assert not await is_scheduled(world, fourth)
    reason = await reason_of(world, fourth)
    assert reason.code == "over-limit"
    assert numbers(reason) == {("keypair", "sessions"): ("3", "1", "3")}
    await ends(node, running[1])
    await starts(world, fourth)


async def test_with_one_pending_allowed_the_next_is_refused_until_it_runs(world, node, owner):
    ada = await owner(max_pending_session_count=1, max_concurrent_sessions=1)
    first = await ada.has()
    waits = await ada.has()
    assert await ada.is_over() == {"count"}
    assert await ada.is_over(count=2) == {"count"}
    await ends(node, first)
    await starts(world, waits)
    assert isinstance(await ada.ask(), Accepted)


async def test_slots_over_the_limit_wait_with_the_numbers(world, node, owner):
    ada = await owner(total_resource_slots={"cpu": 2000, "mem": 4 * 2**30})
    one = {"cpu": 1000, "mem": 2**30}
    for _ in range(2):
        assert await is_scheduled(world, await ada.has(resources=one))
    third = await ada.has(resources=one)
    assert not await is_scheduled(world, third)
    assert numbers(await reason_of(world, third)) == {("keypair", "cpu"): ("2", "1", "2")}


@pytest.mark.parametrize(("unspecified", "runs"), [("limited", False), ("unlimited", True)])
async def test_a_slot_that_no_limit_names_is_nothing_or_everything(world, owner, unspecified, runs):
    ada = await owner(total_resource_slots={"cpu": 2000}, default_for_unspecified=unspecified)
    asked = await ada.has(resources={"cpu": 1000, "mem": 2**20})
    assert await is_scheduled(world, asked) == runs
    if not runs:
        used, _, limit = numbers(await reason_of(world, asked))["keypair", "mem"]
        assert (used, limit) == ("0", "0")


async def test_who_is_over_a_limit_is_in_nobodys_way(world, owner):
    ada, bob = await owner(max_concurrent_sessions=0), await owner()
    await ada.has(priority=90)
    assert await is_scheduled(world, await bob.has())


async def test_the_next_enqueue_is_decided_by_the_changed_policy(world, owner):
    ada = await owner(max_priority=20, max_pending_session_resource_slots={"cpu": 2000})
    assert isinstance(await ada.ask(priority=20), Accepted)
    for limit in range(5, 15):
        await ada.change(max_priority=limit, max_containers_per_session=limit % 3 + 1)
        assert await ada.is_over(priority=limit + 1) == {"priority"}
        wide = {"cluster_size": limit % 3 + 2, "priority": limit, "resources": {"cpu": 100}}
        assert await ada.is_over(**wide) == {"cluster_size"}
    await ada.change(max_priority=None, max_containers_per_session=None)
    assert await ada.is_over(priority=99, count=3) == {"resources.cpu"}
    assert isinstance(await ada.ask(priority=99, count=2), Accepted)


async def test_a_raised_limit_starts_at_once_what_waited_for_it(world, owner):
    ada = await owner(max_concurrent_sessions=1)
    await ada.has()
    second, third = await ada.has(), await ada.has()
    await ada.change(max_concurrent_sessions=2)
    await starts(world, second)
    assert not await is_scheduled(world, third)
    other = await owner()
    await world.users.say(
        KeypairPolicyAssigned(access_key=ada.access_key, user_id=USER, resource_policy=other.policy)
    )
    await starts(world, third)


async def test_projects_and_domains_have_ceilings_too(world, owner):
    lab, project = f"lab-{new_id()[-8:]}", new_id()
    await world.users.say(
        DomainCreated(name=lab, total_resource_slots={"cpu": 2000}),
        ProjectCreated(
            project_id=project,
            domain=lab,
            name="a",
            project_type="general",
            total_resource_slots={"cpu": 1000},
        ),
        ProjectMemberAdded(project_id=project, user_id=USER),
    )
    ada = await owner()
    place = {"domain": lab, "project_id": project}
    assert await is_scheduled(world, await ada.has(**place))
    second = await ada.has(**place, resources={"cpu": 1500})
    assert set(numbers(await reason_of(world, second))) == {("project", "cpu"), ("domain", "cpu")}
    await world.users.say(ProjectChanged(project_id=project, total_resource_slots={}))

    async def waits_for_the_domain_alone():
        return set(numbers(await reason_of(world, second))) == {("domain", "cpu")}

    await world.users.say(DomainChanged(name=lab, description="The lab."))
    assert isinstance(await ada.ask(), Accepted)
    assert await waits_for_the_domain_alone()
    await world.users.say(DomainChanged(name=lab, total_resource_slots={"cpu": 2500}))
    await starts(world, second)


async def test_sessions_are_had_only_under_ones_own_living_keypairs(world, owner):
    ada = await owner()
    await world.users.say(KeypairDeleted(access_key=ada.access_key, user_id=USER))
    for access_key in (ada.access_key, "AKNOBODYKNOWS"):
        reply = await world.enqueue("ghost", access_key=access_key)
        assert isinstance(reply, Rejected)
        assert reply.rejection.code == "keypair_not_found"


async def test_nodes_are_told_by_the_setting_of_the_moment_when_to_pull(world, node, owner):
    ada = await owner()
    spec = await node.spec(await ada.has())
    assert (spec.image_auto_pull, spec.image_digest) == ("digest", DIGEST)
    await world.policies.say(SettingChanged(setting="image_auto_pull", value="none"))
    assert (await node.spec(await ada.has())).image_auto_pull == "none"
    await world.policies.say(SettingReset(setting="image_auto_pull"))
    assert (await node.spec(await ada.has())).image_auto_pull == "digest"


async def test_where_nothing_is_fetched_a_session_goes_only_to_who_has_its_image(world, owner):
    ada = await owner()
    bare = await FakeNode(world, "bare", runtime="container", images=()).connect()
    there = {"designated_agents": (bare.agent_id,)}
    await world.policies.say(SettingChanged(setting="image_auto_pull", value="none"))
    refused = await ada.ask(**there)
    assert isinstance(refused, Rejected)
    assert [error.code for error in refused.rejection.errors] == ["image_not_offered"]
    await world.policies.say(SettingReset(setting="image_auto_pull"))
    assert (await bare.spec(await ada.has(**there))).image_auto_pull == "digest"
    await world.agents.say(AgentTerminated(agent_id=bare.agent_id, reason="stopped"))


async def test_how_often_a_first_in_line_is_tried_is_what_the_setting_says(world, owner):
    ada = await owner()
    await world.policies.say(SettingChanged(setting="scheduler.retries_to_skip", value=0))
    await ada.has(resources={"cpu": 3000})
    blocks = await ada.has(resources={"cpu": 4000})
    waits = await ada.has()
    assert (await reason_of(world, blocks)).code == "not-enough-resources"
    assert "never passed over" in (await reason_of(world, waits)).message
    assert not await is_scheduled(world, waits)
    await world.policies.say(SettingChanged(setting="scheduler.retries_to_skip", value=1))
    await starts(world, waits)
    await world.policies.say(SettingReset(setting="scheduler.retries_to_skip"))


async def test_kill_9_forgets_nothing_of_what_is_used(postgres, nats_server, tmp_path):
    async with world_of(postgres, nats_server, tmp_path) as world:
        node = await FakeNode(world, "n1").connect()
        ada = await Owner(world, max_concurrent_sessions=2, max_pending_session_count=1).issue()
        running = [await ada.has() for _ in range(2)]
        waits = await ada.has()
        await asyncio.gather(*(node.run(session_id) for session_id in running))
        await world.service.kill()
        await world.service.start()
        assert await ada.is_over() == {"count"}
        assert numbers(await reason_of(world, waits)) == {("keypair", "sessions"): ("2", "1", "2")}
        await ends(node, running[0])
        await starts(world, waits)
        last = await ada.has()
        assert not await is_scheduled(world, last)
        assert await ada.is_over() == {"count"}
