"""Each client of NATS may do what it is there for, and nothing else."""

import asyncio
import secrets
import shutil
from typing import NamedTuple

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.errors import Error, NoRespondersError
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError

from deploy.embedded.nats import EmbeddedNats
from deploy.embedded.roster import NATS_USERS
from deploy.nats.permissions import nats_users
from shared.contracts.subjects import inbox_prefix
from shared.messaging.connection import close, connect
from shared.messaging.desired import Complete, DesiredState, Wanted
from shared.messaging.desired_writer import BATCH_MIN, TAKEN_BY, DesiredWriter
from shared.messaging.streams import provision
from shared.testing.servers import scratch_directory
from tests.messaging.test_desired import leads, spec

AGENT = "box.1"
FORBIDDEN = "nobody.may.publish.this"


class Guarded(NamedTuple):
    """A server with our permissions."""

    server: EmbeddedNats

    async def connect(self, name: str) -> Client:
        return await connect(self.server.url(name), name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded():
    passwords = {name: secrets.token_hex(8) for name in NATS_USERS}
    place = scratch_directory("nats")
    server = EmbeddedNats(place / "nats", users=nats_users(passwords, AGENT))
    await server.start()
    client = await connect(server.url("administrator"), "administrator")
    await provision(client)
    await close(client)
    yield Guarded(server)
    await server.stop()
    shutil.rmtree(place)


async def _first_refusal(guarded: Guarded, name: str, subject: str, *, listen: bool) -> str:
    """Return the first thing that the server refuses: this, or what nobody may do after it."""
    refusals: asyncio.Queue[str] = asyncio.Queue()

    async def error(problem: Exception) -> None:
        await refusals.put(str(problem).lower())

    url = guarded.server.url(name)
    client = await nats.connect(url, error_cb=error, inbox_prefix=inbox_prefix(name))
    try:
        if listen:
            await client.subscribe(subject)
        else:
            await client.publish(subject, b"{}")
        await client.publish(FORBIDDEN, b"{}")
        return await asyncio.wait_for(refusals.get(), 10)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("users", "evt.scheduler.session.1.SessionStarted"),
        ("users", "cmd.scheduler.EnqueueSession"),
        ("users", "$KV.desired.box.kernel"),
        ("users", "$JS.API.STREAM.DELETE.EVENTS_scheduler"),
        ("users", "$JS.API.STREAM.PURGE.EVENTS_users"),
        ("users", "_INBOX_gateway.x"),
        ("users", "tel.services.status.scheduler"),
        ("users", "tel.gateway.use.g1"),
        ("scheduler", "tel.gateway.activity"),
        ("scheduler", "cmd.users.CreateUser"),
        ("scheduler", "cmd.users.RetirePolicy"),
        ("policies", "cmd.users.CreateUser"),
        ("gateway", "evt.users.user.1.UserCreated"),
        ("gateway", "$JS.API.STREAM.DELETE.EVENTS_users"),
        ("gateway", "$KV.desired.box.kernel"),
        ("node", "evt.scheduler.session.1.SessionStarted"),
        ("node", "cmd.users.CreateUser"),
        ("node", "cmd.scheduler.EnqueueSession"),
        ("node", "$KV.desired.box=2E1.kernel"),
        ("node", "tel.agents.heartbeat.another"),
        ("node", "$JS.API.CONSUMER.CREATE.EVENTS_users.x"),
        ("node", "$JS.API.STREAM.MSG.GET.EVENTS_users"),
        ("node", "$JS.API.STREAM.DELETE.KV_desired"),
    ],
)
async def test_publishing_where_one_has_no_business_is_refused(guarded, name, subject):
    refusal = await _first_refusal(guarded, name, subject, listen=False)
    assert "permissions violation" in refusal
    assert subject.lower() in refusal


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("users", "cmd.scheduler.*"),
        ("users", "_INBOX_gateway.>"),
        ("users", ">"),
        ("users", "tel.gateway.use.*"),
        ("users", "tel.gateway.activity"),
        ("node", "cmd.scheduler.ReportKernels"),
        ("node", "node.another.log"),
        ("node", "tel.agents.heartbeat.*"),
        ("node", "evt.>"),
        ("gateway", "cmd.users.*"),
    ],
)
async def test_listening_to_others_is_refused(guarded, name, subject):
    refusal = await _first_refusal(guarded, name, subject, listen=True)
    assert "permissions violation" in refusal
    assert subject.lower() in refusal


@pytest.mark.parametrize(
    ("name", "subject", "listen"),
    [
        ("users", "evt.users.user.1.UserCreated", False),
        ("users", "cmd.users.*", True),
        ("users", "qry.users.*", True),
        ("users", "tel.services.status.users", False),
        ("agents", "tel.agents.heartbeat.*", True),
        ("scheduler", "tel.agents.heartbeat.*", True),
        ("scheduler", "tel.scheduler.queue.default", False),
        ("policies", "cmd.users.RetirePolicy", False),
        ("policies", "cmd.users.ReinstatePolicy", False),
        ("scheduler", "$KV.desired.box=2E1.kernel", False),
        ("gateway", "cmd.users.CreateUser", False),
        ("gateway", "qry.scheduler.GetPendingQueue", False),
        ("gateway", "node.box=2E1.log", False),
        ("gateway", "tel.scheduler.queue.*", True),
        ("gateway", "tel.gateway.use.g1", False),
        ("gateway", "tel.gateway.use.*", True),
        ("gateway", "tel.gateway.activity", False),
        ("scheduler", "tel.gateway.activity", True),
        ("node", "cmd.scheduler.ReportKernels", False),
        ("node", "tel.agents.heartbeat.box=2E1", False),
        ("node", "node.box=2E1.log", True),
    ],
)
async def test_what_somebody_is_there_for_is_allowed(guarded, name, subject, listen):
    assert FORBIDDEN in await _first_refusal(guarded, name, subject, listen=listen)


async def test_a_question_is_answered_through_a_private_inbox(guarded):
    scheduler = await guarded.connect("scheduler")
    gateway = await guarded.connect("gateway")

    async def answer(message) -> None:
        await message.respond(b"done")

    await scheduler.subscribe("cmd.scheduler.*", queue="scheduler", cb=answer)
    await scheduler.flush()
    reply = await gateway.request("cmd.scheduler.EnqueueSession", b"{}", timeout=5)
    assert reply.data == b"done"
    with pytest.raises(NoRespondersError):
        await gateway.request("cmd.users.CreateUser", b"{}", timeout=5)
    await close(scheduler)
    await close(gateway)


@pytest.mark.parametrize("name", ["users", "scheduler", "gateway"])
async def test_every_service_reads_the_events_of_every_other(guarded, name):
    client = await guarded.connect(name)
    js = client.jetstream(timeout=5)
    await js.add_consumer("EVENTS_policies", ConsumerConfig(name=f"reader-{name}"))
    assert (await js.stream_info("EVENTS_policies")).config.deny_delete
    await js.delete_consumer("EVENTS_policies", f"reader-{name}")
    await close(client)


async def test_a_node_watches_the_desired_kernels_and_cannot_change_them(guarded):
    node = await guarded.connect("node")
    scheduler = await guarded.connect("scheduler")
    writer = DesiredWriter(scheduler, 1)
    await writer.take(leads)
    specs = {("box.1", f"k{number}"): spec(f"k{number}") for number in range(BATCH_MIN)}
    await writer.bring(specs)
    await writer.mark_complete()
    changes = DesiredState(node).watch("box.1")
    seen = [await anext(changes) for _ in range(BATCH_MIN + 1)]
    assert seen == [*map(Wanted, specs.values()), Complete(frozenset(one for _, one in specs))]
    await changes.aclose()
    bucket = await node.jetstream(timeout=5).key_value("desired")
    for key in ("box=2E1.k0", TAKEN_BY):
        with pytest.raises((APIError, Error)):
            await bucket.put(key, b"other")
    assert len(await DesiredState(scheduler).all()) == BATCH_MIN
    await writer.bring({("box.1", "k0"): None})
    await close(node)
    await close(scheduler)
