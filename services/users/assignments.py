"""Giving somebody a policy, and making sure in the same transaction that it is there to be given.

A policy is deleted after its name has been retired here. Both sides take the lock of the name:
whoever gives it a shared one, whoever retires it an exclusive one. So either the retirement finds
who uses the policy, or whoever would use it finds that it is retired.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import asyncpg
from msgspec import UNSET

from services.users.answers import FactsChanged
from services.users.directory import Connection
from services.users.known_policies import KnownPolicies
from shared.contracts.base import Event
from shared.contracts.policies import PolicyKind
from shared.contracts.users import (
    KeypairIssued,
    KeypairPolicyAssigned,
    ProjectChanged,
    ProjectCreated,
    UserCreated,
    UserPolicyAssigned,
)
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Write

_LOCK_CLASS: Final = 0x716D_0004
# Two statements each time: one that has waited for a lock does not see what it has waited for.
_SHARED: Final = (
    "select pg_advisory_xact_lock_shared($1, hashtext(name)) from unnest($2::text[]) as name"
)
_EXCLUSIVE: Final = "select pg_advisory_xact_lock($1, hashtext($2))"
_RETIRED: Final = "select created from retired_policies where kind = $1 and name = $2"

Policy = tuple[PolicyKind, str]


async def is_assignable(
    connection: Connection, policies: KnownPolicies, kind: PolicyKind, name: str
) -> bool:
    """Tell whether a policy exists and may be given, as far as is known now."""
    created = policies.created(kind, name)
    if created is None:
        return False
    with reaching_postgres():
        retired = await connection.fetchval(_RETIRED, kind, name)
    return retired is None or created > retired


async def hold_assigned(
    connection: asyncpg.Connection, policies: KnownPolicies, writes: Iterable[Write]
) -> None:
    """Keep the policies that `writes` give from being retired until the transaction ends.

    Raises FactsChanged when one of them is retired, or known to be deleted.
    """
    given = sorted({policy for write in writes for policy in _given(write.events)})
    if not given:
        return
    await connection.execute(_SHARED, _LOCK_CLASS, [f"{kind}:{name}" for kind, name in given])
    for kind, name in given:
        if not await is_assignable(connection, policies, kind, name):
            raise FactsChanged(name)


async def hold_retired(connection: asyncpg.Connection, kind: PolicyKind, name: str) -> None:
    """Let nobody be given a policy until the transaction ends; see all who have been given it."""
    await connection.execute(_EXCLUSIVE, _LOCK_CLASS, f"{kind}:{name}")


def _given(events: Iterable[Event]) -> Iterator[Policy]:
    for event in events:
        match event:
            case UserCreated() | UserPolicyAssigned():
                yield "user", event.resource_policy
            case KeypairIssued() | KeypairPolicyAssigned():
                yield "keypair", event.resource_policy
            case ProjectCreated():
                yield "project", event.resource_policy
            case ProjectChanged(resource_policy=name) if name is not UNSET:
                yield "project", name
