"""There is one default keypair policy at any time, whoever switches it, and whatever breaks."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import asyncpg

from services.policies.policies import Policies as Handlers
from services.policies.seed import KEYPAIR_POLICY, sow
from services.policies.writing import Writing
from shared.contracts.base import Accepted, Actor, Meta
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    CreateKeypairPolicy,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
)
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.eventlog.pool import open_pool
from shared.eventlog.records import CommandKey
from shared.kernel.clock import SystemClock
from shared.kernel.ids import new_id
from shared.messaging.commands import CommandContext, Outcome
from shared.testing.servers import Databases
from tests.policies.integration.harness import Policies

DEFAULT = "default"


def defaults_after(events: Sequence[Any]) -> list[set[str]]:
    """Return which policies are the default after each event."""
    now: set[str] = set()
    after = []
    for event in events:
        if isinstance(event, KeypairPolicyCreated | KeypairPolicyChanged):
            if event.is_default is True:
                now = now | {event.name}
            elif event.is_default is False:
                now = now - {event.name}
        after.append(now)
    return after


def someone() -> CommandContext:
    meta = Meta(actor=Actor(kind="user", id="tester"), correlation_id=new_id())
    deadline = SystemClock().now() + timedelta(seconds=20)
    return CommandContext(meta, None, deadline, new_id())


async def test_whoever_becomes_the_default_takes_the_place_of_the_one_that_was(
    running: Policies,
) -> None:
    head = await running.head()
    await running.accepted(CreateKeypairPolicy(name="first", is_default=True))
    await running.accepted(CreateKeypairPolicy(name="second"))
    await running.accepted(ChangeKeypairPolicy(name="second", is_default=True, idle_timeout=1))
    assert await running.events(head) == [
        KeypairPolicyCreated(name="first", is_default=True),
        KeypairPolicyChanged(name=DEFAULT, is_default=False),
        KeypairPolicyCreated(name="second"),
        KeypairPolicyChanged(name="second", is_default=True, idle_timeout=1),
        KeypairPolicyChanged(name="first", is_default=False),
    ]
    giving_up = ChangeKeypairPolicy(name="second", is_default=False)
    assert (await running.rejected(giving_up)).code == "default_needed"


async def test_many_who_switch_at_once_all_succeed_and_one_is_left(running: Policies) -> None:
    wishes = [CreateKeypairPolicy(name=f"crowd-{number}", is_default=True) for number in range(20)]
    switches = [ChangeKeypairPolicy(name=name, is_default=True) for name in ("first", "second") * 5]
    replies = await running.together(*wishes, *switches)
    assert all(isinstance(reply, Accepted) for reply in replies)
    after = defaults_after(await running.events())
    assert len(after[-1]) == 1
    assert max(len(names) for names in after) <= 2
    assert min(len(names) for names in after) == 1


async def test_processes_that_switch_at_once_leave_one_default(postgres: Databases) -> None:
    url = await postgres.database("policies")
    pools = [await open_pool(url, name=f"policies-{number}") for number in range(3)]
    logs = [EventLog(pool, codec_for("policies")) for pool in pools]
    await sow(logs[0])
    handlers = [Handlers(Writing(log)) for log in logs]

    async def switch(handler: Handlers, number: int) -> Outcome:
        wish = CreateKeypairPolicy(name=f"policy-{number % 4}", is_default=True)
        made = await handler.keypair(wish, someone())
        if isinstance(made, Accepted):
            return made
        again = ChangeKeypairPolicy(name=wish.name, is_default=True)
        return await handler.keypair(again, someone())

    outcomes = await asyncio.gather(*(switch(handlers[n % 3], n) for n in range(30)))
    refused = {outcome.code for outcome in outcomes if not isinstance(outcome, Accepted)}
    assert refused <= {"busy"}  # an honest answer to who has lost too often
    events = [recorded.event async for recorded in logs[0].fold_all()]
    (last,) = defaults_after(events)[-1]
    assert await logs[0].owner_of("default-policy", "keypair") == last
    for pool in pools:
        await pool.close()


async def cut_off(running: Policies, command: ChangeKeypairPolicy, *, lost: bool) -> Accepted:
    """Kill the service while it appends, with its connection or not; then repeat the command."""
    key = CommandKey(f"tester {new_id()}", "digest")
    blocker = await asyncpg.connect(running.admin_url, server_settings={"search_path": "policies"})
    holding = blocker.transaction()
    await holding.start()
    before = await blocker.fetchval("select position from log_head for update")
    sent = asyncio.ensure_future(running.send(command, key, timeout_s=2))
    backend = await running.waiting()
    await running.service.kill()
    if lost:
        await blocker.execute("select pg_terminate_backend($1)", backend)
        await running.ended(backend)
    await holding.rollback()
    await running.ended(backend)
    head = await running.head()
    assert head == (before if lost else before + 2)
    await blocker.close()
    assert not isinstance(await sent, Accepted)
    await running.service.start()
    first = await running.accepted(command, key)
    assert await running.accepted(command, key) == first
    assert await running.head() == before + 2
    return first


async def test_a_switch_that_is_cut_off_is_there_as_a_whole_or_not_at_all(
    running: Policies,
) -> None:
    await running.accepted(ChangeKeypairPolicy(name=DEFAULT, is_default=True))
    await running.accepted(CreateKeypairPolicy(name="next"))
    head = await running.head()
    await cut_off(running, ChangeKeypairPolicy(name="next", is_default=True), lost=True)
    await cut_off(running, ChangeKeypairPolicy(name=DEFAULT, is_default=True), lost=False)
    assert await running.events(head) == [
        KeypairPolicyChanged(name="next", is_default=True),
        KeypairPolicyChanged(name=DEFAULT, is_default=False),
        KeypairPolicyChanged(name=DEFAULT, is_default=True),
        KeypairPolicyChanged(name="next", is_default=False),
    ]


async def test_an_installation_from_before_policies_could_be_changed_has_its_default(
    postgres: Databases,
) -> None:
    url = await postgres.database("policies")
    pool = await open_pool(url, name="policies")
    log = EventLog(pool, codec_for("policies"))
    await sow(log)
    await pool.execute("delete from claims where kind = 'default-policy'")
    await asyncio.gather(*(sow(EventLog(pool, codec_for("policies"))) for _ in range(3)))
    assert await log.owner_of("default-policy", "keypair") == KEYPAIR_POLICY.name
    wish = CreateKeypairPolicy(name="new", is_default=True)
    assert isinstance(await Handlers(Writing(log)).keypair(wish, someone()), Accepted)
    await pool.execute("delete from claims where kind = 'default-policy'")
    assert await sow(log) == 0
    assert await log.owner_of("default-policy", "keypair") == "new"
    events = [recorded.event async for recorded in log.fold_all()]
    assert defaults_after(events)[-1] == {"new"}
    await pool.close()
