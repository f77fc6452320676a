"""All limits of one user at one moment: read together, so that the numbers fit each other."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from services.gateway.auth.principals import Principal
from services.gateway.documents.limits import EffectiveLimits, ScopeLimits
from services.gateway.documents.settings import SettingDocument
from services.gateway.reads.capacity import capacity
from services.gateway.reads.limit_scopes import (
    binding,
    of_domain,
    of_keypair,
    of_project,
    of_user,
    withheld,
)
from services.gateway.reads.models import ReadModels
from services.gateway.reads.occupancy import Scope, Use, use_of
from services.gateway.reads.projects import project_for
from shared.contracts.policies.settings import SETTINGS
from shared.kernel.rejections import Rejection, invalid
from shared.projections.transactions import snapshot

_KEYPAIRS: Final = (
    "select doc from keypairs where user_id = $1 order by not is_main, created_at, id"
)
_PROJECTS: Final = (
    "select doc from projects where id = $2"
    " or id in (select project_id from memberships where user_id = $1)"
    " order by name, id"
)
_ONE: Final = "select doc from {} where id = $1"
_NAMED: Final = "select doc from {} where id = any($1::text[])"
EVERYWHERE: Final = frozenset({"cpu", "mem"})
TENANTS: Final = frozenset({"project", "domain"})
VISIBILITY: Final = "group_resource_visibility"


class Chosen(NamedTuple):
    """What a session would count for: a keypair, if there is one, and a project."""

    access_key: str | None
    project: str | None


class Charged(NamedTuple):
    """A user's limits as they are, whoever may see which: all of them, and those of a session."""

    all: tuple[ScopeLimits, ...]
    session: tuple[ScopeLimits, ...]


async def chosen_for(
    reads: ReadModels, user: Mapping[str, Any], access_key: str | None, project: str | None
) -> Chosen | Rejection:
    """Return what a session of a user counts for; `access_key` None is the main one.

    A project that is not the user's, or no keypair of the user, is refused (422).
    """
    if access_key is None:
        access_key = user["main_access_key"]
    else:
        owner = await reads.pool.fetchval(
            "select user_id from keypairs where id = $1", access_key.replace("\0", "")
        )
        if owner != user["id"]:
            message = f"The user has no keypair '{access_key[:64]}'."
            return invalid("access_key", "unknown", message)
    found = await project_for(reads, _as_principal(user), project)
    if isinstance(found, Rejection):
        if project is not None:
            return found
        return Chosen(access_key, None)
    return Chosen(access_key, found)


async def charged_to(reads: ReadModels, user: Mapping[str, Any], chosen: Chosen) -> Charged:
    """Return the limits of a user and of a session with what is chosen."""
    slots = EVERYWHERE.union((await capacity(reads)).total)
    async with snapshot(reads.pool) as connection:
        scopes = await _scopes(connection, user, chosen, slots)
    counted = {
        ("keypair", chosen.access_key),
        ("user", user["id"]),
        ("project", chosen.project),
        ("domain", user["domain"]),
    }
    return Charged(tuple(scopes), tuple(one for one in scopes if (one.scope, one.id) in counted))


async def effective_limits(
    reads: ReadModels, principal: Principal, user: Mapping[str, Any], chosen: Chosen
) -> EffectiveLimits:
    """Return what a caller may see of a user's limits."""
    charged = await charged_to(reads, user, chosen)
    hidden = TENANTS if await hides_tenants(reads, principal) else frozenset()
    scopes = [shown(scope, hidden) for scope in charged.all]
    bound = [shown(scope, hidden) for scope in charged.session]
    return EffectiveLimits(
        user_id=user["id"],
        access_key=chosen.access_key,
        project=chosen.project,
        scopes=scopes,
        binding=binding(bound),
    )


async def hides_tenants(reads: ReadModels, principal: Principal) -> bool:
    """Tell whether the numbers of projects and domains are withheld from the caller."""
    return principal.role == "user" and not await _shows_tenants(reads)


async def _shows_tenants(reads: ReadModels) -> bool:
    async def load() -> bool:
        text = await reads.pool.fetchval("select doc from settings where id = $1", VISIBILITY)
        found = None if text is None else msgspec.json.decode(text, type=SettingDocument)
        value = found.value if found is not None and found.is_set else SETTINGS[VISIBILITY].default
        return value is True

    return await reads.known((VISIBILITY,), ("policies",), load)


def shown(scope: ScopeLimits, hidden: frozenset[str]) -> ScopeLimits:
    """Return a scope, without its numbers when it is of a kind that is hidden."""
    return withheld(scope) if scope.scope in hidden else scope


async def _scopes(
    connection: asyncpg.Connection,
    user: Mapping[str, Any],
    chosen: Chosen,
    slots: frozenset[str],
) -> list[ScopeLimits]:
    keypairs = await _documents(connection, _KEYPAIRS, user["id"])
    projects = await _documents(connection, _PROJECTS, user["id"], chosen.project)
    domains = await _documents(connection, _ONE.format("domains"), user["domain"])
    limits_of_keypairs = await _policies(connection, "keypair_policies", keypairs)
    limits_of_users = await _policies(connection, "user_policies", [user])
    limits_of_projects = await _policies(connection, "project_policies", projects)
    use = await use_of(connection, _asked(keypairs, user, projects))

    def used(kind: str, document: Mapping[str, Any]) -> Use:
        return use[kind, document["id"]]

    def policy(
        policies: Mapping[str, Mapping[str, Any]], document: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        return policies.get(document["resource_policy"])

    return [
        *(
            of_keypair(one, policy(limits_of_keypairs, one), used("keypair", one), slots)
            for one in keypairs
        ),
        of_user(user, policy(limits_of_users, user), used("user", user), slots),
        *(
            of_project(one, policy(limits_of_projects, one), used("project", one), slots)
            for one in projects
        ),
        *(of_domain(one, used("domain", one), slots) for one in domains),
    ]


def _asked(
    keypairs: Iterable[Mapping[str, Any]],
    user: Mapping[str, Any],
    projects: Iterable[Mapping[str, Any]],
) -> Iterable[Scope]:
    yield from (("keypair", one["id"]) for one in keypairs)
    yield from (("project", one["id"]) for one in projects)
    yield ("user", user["id"])
    yield ("domain", user["domain"])


async def _documents(
    connection: asyncpg.Connection, statement: str, *parameters: str | None
) -> list[dict[str, Any]]:
    rows = await connection.fetch(statement, *parameters)
    return [msgspec.json.decode(row[0]) for row in rows]


async def _policies(
    connection: asyncpg.Connection, table: str, documents: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    names = sorted({document["resource_policy"] for document in documents})
    rows = await connection.fetch(_NAMED.format(table), names)
    found = [msgspec.json.decode(row[0]) for row in rows]
    return {policy["name"]: policy for policy in found}


def _as_principal(user: Mapping[str, Any]) -> Principal:
    return Principal(user_id=user["id"], role=user["role"], domain=user["domain"], method="token")
