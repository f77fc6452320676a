"""Keeps the index (domains, projects, accounts, keypairs, log-ins, …) in step with the log.

It is written in the transaction that appends the events, so it is never behind, and a rule that
spans several streams can be checked there: against rows that are locked until the commit.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import asyncpg
from msgspec import UNSET

from shared.contracts.base import Event
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairPolicyAssigned,
    KeypairRateLimitSet,
    LoginEnded,
    LoginStarted,
    PolicyReinstated,
    PolicyRetired,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserMainKeypairSwitched,
    UserPolicyAssigned,
    UserRoleChanged,
)
from shared.eventlog.records import Write

_DOMAIN_CREATED: Final = "insert into domains (name, is_active) values ($1, $2)"
_DOMAIN_CHANGED: Final = (
    "update domains set is_active = coalesce($2::boolean, is_active) where name = $1"
)
_PROJECT_CREATED: Final = (
    "insert into projects (project_id, domain, name, project_type, is_active, resource_policy)"
    " values ($1, $2, $3, $4, $5, $6)"
)
_PROJECT_CHANGED: Final = (
    "update projects set is_active = coalesce($2::boolean, is_active),"
    " resource_policy = coalesce($3::text, resource_policy) where project_id = $1"
)
_MEMBER: Final = (
    "insert into memberships (project_id, user_id, role) values ($1, $2, $3)"
    " on conflict (project_id, user_id) do update set role = excluded.role"
)
_MEMBER_REMOVED: Final = "delete from memberships where project_id = $1 and user_id = $2"
_USER_CREATED: Final = (
    "insert into accounts (user_id, domain, role, status, resource_policy)"
    " values ($1, $2, $3, $4, $5)"
)
_USER_STATUS: Final = "update accounts set status = $2 where user_id = $1"
_USER_ROLE: Final = "update accounts set role = $2 where user_id = $1"
_USER_POLICY: Final = "update accounts set resource_policy = $2 where user_id = $1"
_USER_ERASED: Final = "update accounts set is_erased = true where user_id = $1"
_ISSUED: Final = (
    "insert into keypairs (access_key, user_id, is_main, status, resource_policy, rate_limit)"
    " values ($1, $2, $3, $4, $5, $6)"
)
_KEY_STATUS: Final = "update keypairs set status = $2 where access_key = $1"
_KEY_POLICY: Final = "update keypairs set resource_policy = $2 where access_key = $1"
_KEY_LIMIT: Final = "update keypairs set rate_limit = $2 where access_key = $1"
_KEY_DELETED: Final = "delete from keypairs where access_key = $1"
_NOT_MAIN: Final = "update keypairs set is_main = false where user_id = $1 and is_main"
_MAIN: Final = "update keypairs set is_main = true where access_key = $1"

_LOGIN: Final = "insert into logins (login_id, user_id, expires_at) values ($1, $2, $3)"
_LOGIN_ENDED: Final = "delete from logins where login_id = $1"
_RETIRED: Final = (
    "insert into retired_policies (kind, name, created) values ($1, $2, $3)"
    " on conflict (kind, name) do update set created = excluded.created"
)
_REINSTATED: Final = "delete from retired_policies where kind = $1 and name = $2"

_Statement = tuple[str, tuple[Any, ...]]


async def index(connection: asyncpg.Connection, writes: Iterable[Write]) -> None:
    """Take new events into the index, in their order, on the transaction's connection."""
    statements = (one for write in writes for event in write.events for one in _statements(event))
    for sql, alike in groupby(statements, itemgetter(0)):
        # together, because a project of models takes in everybody of a domain at once
        await connection.executemany(sql, [arguments for _, arguments in alike])


def _statements(event: Event) -> tuple[_Statement, ...]:
    statements = _of_tenants(event) or _of_users(event) or _of_keypairs(event)
    return statements or _of_logins(event) or _of_policies(event)


def _of_tenants(event: Event) -> tuple[_Statement, ...]:
    match event:
        case DomainCreated():
            return ((_DOMAIN_CREATED, (event.name, event.is_active)),)
        case DomainChanged():
            return ((_DOMAIN_CHANGED, (event.name, _given(event.is_active))),)
        case ProjectCreated():
            facts = (event.project_type, event.is_active, event.resource_policy)
            return ((_PROJECT_CREATED, (event.project_id, event.domain, event.name, *facts)),)
        case ProjectChanged():
            changed = (_given(event.is_active), _given(event.resource_policy))
            return ((_PROJECT_CHANGED, (event.project_id, *changed)),)
        case ProjectMemberAdded() | ProjectMemberRoleSet():
            return ((_MEMBER, (event.project_id, event.user_id, event.role)),)
        case ProjectMemberRemoved():
            return ((_MEMBER_REMOVED, (event.project_id, event.user_id)),)
    return ()


def _of_users(event: Event) -> tuple[_Statement, ...]:
    match event:
        case UserCreated():
            facts = (event.domain, event.role, event.status, event.resource_policy)
            return ((_USER_CREATED, (event.user_id, *facts)),)
        case UserActivated():
            return ((_USER_STATUS, (event.user_id, "active")),)
        case UserDeactivated():
            return ((_USER_STATUS, (event.user_id, "inactive")),)
        case UserRoleChanged():
            return ((_USER_ROLE, (event.user_id, event.role)),)
        case UserPolicyAssigned():
            return ((_USER_POLICY, (event.user_id, event.resource_policy)),)
        case UserErased():
            return ((_USER_ERASED, (event.user_id,)),)
        case UserMainKeypairSwitched():
            return ((_NOT_MAIN, (event.user_id,)), (_MAIN, (event.access_key,)))
    return ()


def _of_keypairs(event: Event) -> tuple[_Statement, ...]:
    match event:
        case KeypairIssued():
            facts = (event.is_main, event.status, event.resource_policy, event.rate_limit)
            return ((_ISSUED, (event.access_key, event.user_id, *facts)),)
        case KeypairActivated():
            return ((_KEY_STATUS, (event.access_key, "active")),)
        case KeypairDeactivated():
            return ((_KEY_STATUS, (event.access_key, "inactive")),)
        case KeypairPolicyAssigned():
            return ((_KEY_POLICY, (event.access_key, event.resource_policy)),)
        case KeypairRateLimitSet():
            return ((_KEY_LIMIT, (event.access_key, event.rate_limit)),)
        case KeypairDeleted():
            return ((_KEY_DELETED, (event.access_key,)),)
    return ()


def _of_logins(event: Event) -> tuple[_Statement, ...]:
    match event:
        case LoginStarted():
            return ((_LOGIN, (event.login_id, event.user_id, event.expires_at)),)
        case LoginEnded():
            return ((_LOGIN_ENDED, (event.login_id,)),)
    return ()


def _of_policies(event: Event) -> tuple[_Statement, ...]:
    match event:
        case PolicyRetired():
            return ((_RETIRED, (event.kind, event.name, event.created)),)
        case PolicyReinstated():
            return ((_REINSTATED, (event.kind, event.name)),)
    return ()


def _given(value: Any) -> Any:
    return None if value is UNSET else value
