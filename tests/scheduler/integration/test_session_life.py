"""What sessions wait for and how long they may: known by whoever leads, also after `kill -9`."""

from datetime import UTC, datetime, timedelta

from services.scheduler.books import Books, Ended
from services.scheduler.dependencies import ended_in_log, finder
from services.scheduler.domain.dependencies import Dependency
from shared.contracts.base import Accepted
from shared.contracts.policies import KeypairPolicyChanged, KeypairPolicyCreated
from shared.contracts.scheduler import ChangeResourceGroup, EnqueueSession
from shared.contracts.users import KeypairIssued
from tests.scheduler.integration.fake_node import FakeNode
from tests.scheduler.integration.harness import PROJECT, USER, world_of
from tests.scheduler.integration.leader import Running

KEY = "AKLIFE"


def wish(*depends_on):
    return EnqueueSession(
        name="next",
        session_type="batch",
        user_id="u1",
        access_key=None,
        domain="default",
        project_id=PROJECT,
        image="img",
        depends_on=depends_on,
    )


async def test_what_the_books_have_forgotten_is_found_in_the_log(event_log):
    running = await Running(event_log).start()
    for name in ("ended", "alive"):
        await running.enqueue(name)
    await running.terminate("ended")
    await running.stop()
    asked = wish("ended", "alive", "nobody", "a\0b", "", "x" * 5000)
    in_log = await ended_in_log(event_log, Books(), asked)
    assert in_log == {"ended": Ended("u1", succeeded=False)}
    assert finder(Books(), "u1", in_log)("ended") == Dependency("ended", succeeded=False)
    assert finder(Books(), "somebody else", in_log)("ended") is None


async def with_a_keypair(world):
    await world.policies.say(KeypairPolicyCreated(name="life", max_session_lifetime=3600))
    await world.users.say(
        KeypairIssued(
            access_key=KEY,
            user_id=USER,
            is_main=False,
            status="active",
            resource_policy="life",
            rate_limit=None,
        )
    )


async def test_kill_9_forgets_no_deadline_and_nobody_who_waits(postgres, nats_server, tmp_path):
    async with world_of(postgres, nats_server, tmp_path) as world:
        node = await FakeNode(world, "n1").connect()
        await with_a_keypair(world)
        (lives,) = await world.enqueued("lives", access_key=KEY)
        (first,) = await world.enqueued("first")
        (second,) = await world.enqueued("second", depends_on=("first",))
        (never,) = await world.enqueued("never", depends_on=(second,), resources={"cpu": 10})
        soon = datetime.now(tz=UTC) + timedelta(seconds=2)
        (early,) = await world.enqueued("early", starts_at=soon)
        (stuck,) = await world.enqueued("stuck", depends_on=(lives,))
        await node.run(lives)
        reports = await node.run(first)
        await world.service.kill()
        await world.service.start()

        await world.event(early, "SessionScheduled")
        await node.report(reports, "terminated", exit_code=0)
        await world.event(second, "SessionScheduled")
        await node.report(await node.run(second), "terminated", exit_code=1)
        gone = await world.event(never, "SessionCancelled")
        assert gone["reason"] == "dependency-failed"

        await world.policies.say(KeypairPolicyChanged(name="life", max_session_lifetime=1))
        assert (await world.event(lives, "SessionTerminating"))["reason"] == "idle-session-lifetime"
        changed = ChangeResourceGroup(name="default", pending_timeout=1)
        assert isinstance(await world.send(changed), Accepted)
        assert (await world.event(stuck, "SessionCancelled"))["reason"] == "pending-timeout"
