"""Policies as the tests of the users service make them."""

from typing import Any

from shared.contracts.base import Accepted, Command
from shared.contracts.policies import (
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    PolicyKind,
)
from tests.users.integration.harness import Users

CREATE = {
    "keypair": CreateKeypairPolicy,
    "user": CreateUserPolicy,
    "project": CreateProjectPolicy,
}


async def done(users: Users, command: Command, **more: Any) -> Accepted:
    reply = await users.send(command, **more)
    assert isinstance(reply, Accepted), reply
    return reply


async def new_policy(users: Users, kind: PolicyKind, name: str) -> dict[str, int]:
    """Create a policy; return what its creator has seen."""
    return {"policies": (await done(users, CREATE[kind](name=name))).position}
