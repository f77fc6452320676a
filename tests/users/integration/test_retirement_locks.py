"""Who gives a policy and who retires it wait for each other."""

import asyncio
from datetime import UTC, datetime

import asyncpg

from services.users.assignments import hold_assigned, hold_retired
from services.users.indexing import index
from services.users.known_policies import KnownPolicies
from shared.contracts.base import Actor, Meta
from shared.contracts.policies import DeletePolicy, UserPolicyCreated
from shared.contracts.users import ChangeUser, PolicyRetired, UserPolicyAssigned
from shared.eventlog.records import Recorded, Write
from shared.kernel.ids import new_id
from tests.users.integration.harness import Ground, Users, blocked, rejected
from tests.users.integration.policies import new_policy


def as_known(name: str, position: int) -> KnownPolicies:
    """Return what another process of the service knows about a user policy."""
    event = UserPolicyCreated(name=name)
    meta = Meta(actor=Actor(kind="service", id="policies"), correlation_id=new_id())
    about = (f"user-policy-{name}", 1, "UserPolicyCreated", 1, event, meta, new_id())
    known = KnownPolicies()
    known.apply("policies", Recorded(position, *about, datetime.now(UTC)))
    return known


async def test_whoever_retires_a_policy_waits_for_those_who_are_giving_it(
    users: Users, ground: Ground
) -> None:
    seen = await new_policy(users, "user", "given")
    user_id = (await users.created("taker"))["user_id"]
    given = UserPolicyAssigned(user_id=user_id, resource_policy="given")
    writes = [Write(f"user-{user_id}", None, (given,))]
    another = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    async with another.transaction():
        await hold_assigned(another, as_known("given", seen["policies"]), writes)
        deleting = asyncio.ensure_future(users.send(DeletePolicy(kind="user", name="given")))
        await blocked(users.database)
        await index(another, writes)
    refused = rejected(await deleting)
    assert refused.code == "policy_in_use"
    assert refused.details["references"] == [{"type": "user", "id": user_id}]
    await another.close()


async def test_whoever_gives_a_policy_waits_for_those_who_are_retiring_it(
    users: Users, ground: Ground
) -> None:
    seen = await new_policy(users, "user", "going")
    user_id = (await users.created("latecomer"))["user_id"]
    event = PolicyRetired(kind="user", name="going", created=seen["policies"], as_of=1)
    another = await asyncpg.connect(ground.admin_url, server_settings={"search_path": "users"})
    async with another.transaction():
        await hold_retired(another, "user", "going")
        wish = ChangeUser(user_id=user_id, resource_policy="going")
        giving = asyncio.ensure_future(users.send(wish, seen=seen))
        await blocked(users.database)
        await index(another, [Write("policy-name-user:going", None, (event,))])
    errors = rejected(await giving).errors
    assert [error.code for error in errors] == ["unknown_policy"]
    await another.close()
