"""What the index over the log says about domains, projects, accounts and memberships.

Everything can be read with `lock=True` on the connection of a transaction: then it stays so until
the commit. Locks are taken in one order (domains, projects, accounts, keypairs), and the head of
the log last, so that no two transactions wait for each other.
"""

from collections.abc import Iterable
from typing import Final

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from services.users.domain.membership import Membership, Person, Place
from services.users.domain.user import KnownProject
from shared.contracts.users import ProjectRole, ProjectType

Connection = asyncpg.Connection | asyncpg.Pool | PoolConnectionProxy

MODEL_STORE: Final[ProjectType] = "model-store"
_DOMAIN: Final = "select is_active from domains where name = $1"
_PROJECTS: Final = (
    "select project_id, domain, project_type, is_active from projects"
    " where project_id = any($1::text[]) or (domain = $2 and project_type = 'model-store')"
    " order by project_id"
)
_PROJECT: Final = "select domain, project_type, is_active from projects where project_id = $1"
_PROJECT_DOMAIN: Final = "select domain from projects where project_id = $1"
_PERSON: Final = "select domain, is_erased from accounts where user_id = $1"
_MEMBERS: Final = (
    "select user_id from accounts where domain = $1 and not is_erased order by user_id"
)
_MEMBER: Final = "select role from memberships where project_id = $1 and user_id = $2"
_MEMBERSHIPS: Final = "select project_id from memberships where user_id = $1 order by project_id"
_ACTIVE_KEYPAIRS: Final = (
    "select access_key from keypairs where user_id = $1 and status = 'active' order by access_key"
)
_NAMED: Final = "select project_id from projects where domain = $1 and name = $2"
# The user, and all who are in charge: one statement, so that they are locked in one order.
_IN_CHARGE: Final = (
    "select user_id, role = 'superadmin' and status = 'active' and not is_erased as in_charge"
    " from accounts where user_id = $1"
    " or (role = 'superadmin' and status = 'active' and not is_erased) order by user_id"
)


class Surroundings(msgspec.Struct, frozen=True):
    """Where a user belongs or would belong.

    `domain_active` is None when there is no such domain; `projects` holds those asked for that
    exist, `stores` are the model-store projects of the domain, which every user of it joins.
    """

    domain_active: bool | None
    projects: dict[str, KnownProject]
    stores: tuple[str, ...]


def _suffix(lock: bool, mode: str) -> str:  # noqa: FBT001  # what `lock` means is said once above
    return f" for {mode}" if lock else ""


async def surroundings(
    connection: Connection, domain: str, projects: Iterable[str], *, lock: bool = False
) -> Surroundings:
    """Return what a user of `domain` in `projects` would belong to."""
    asked = list(dict.fromkeys(projects))
    is_active = await connection.fetchval(_DOMAIN + _suffix(lock, "share"), domain)
    rows = await connection.fetch(_PROJECTS + _suffix(lock, "share"), asked, domain)
    found = {row["project_id"]: KnownProject(row["domain"], row["is_active"]) for row in rows}
    stores = [
        row["project_id"]
        for row in rows
        if row["domain"] == domain and row["project_type"] == MODEL_STORE
    ]
    known = {project_id: found[project_id] for project_id in asked if project_id in found}
    return Surroundings(is_active, known, tuple(stores))


async def domain_active(connection: Connection, domain: str, *, lock: bool = False) -> bool | None:
    """Tell whether a domain is active, None when it is absent; locked, nobody enters it."""
    is_active: bool | None = await connection.fetchval(
        _DOMAIN + _suffix(lock, "no key update"), domain
    )
    return is_active


async def people_of(connection: Connection, domain: str) -> tuple[str, ...]:
    """Return the users of a domain; complete while the domain is locked against entries."""
    return tuple(row["user_id"] for row in await connection.fetch(_MEMBERS, domain))


async def project_named(connection: Connection, domain: str, name: str) -> str | None:
    """Return the id of a project, None when the domain has none of that name."""
    found: str | None = await connection.fetchval(_NAMED, domain, name)
    return found


async def lock_project(connection: Connection, project_id: str) -> None:
    """Keep others from changing a project, or entering it, until the transaction ends."""
    await connection.fetchval(_PROJECT + _suffix(lock=True, mode="no key update"), project_id)


async def membership(
    connection: Connection, project_id: str, user_id: str, *, lock: bool = False
) -> Membership:
    """Return what is known of a user in a project; locked, neither of the two changes."""
    domain = await connection.fetchval(_PROJECT_DOMAIN, project_id)
    is_active = await connection.fetchval(_DOMAIN + _suffix(lock, "share"), domain)
    found = await connection.fetchrow(_PROJECT + _suffix(lock, "share"), project_id)
    account = await connection.fetchrow(_PERSON + _suffix(lock, "no key update"), user_id)
    role: ProjectRole | None = await connection.fetchval(_MEMBER, project_id, user_id)
    place = None if found is None else Place(**found, domain_active=bool(is_active))
    return Membership(place, None if account is None else Person(**account), role)


async def memberships_of(connection: Connection, user_id: str) -> tuple[str, ...]:
    """Return the projects that a user belongs to; they stay so while the account is locked."""
    return tuple(row["project_id"] for row in await connection.fetch(_MEMBERSHIPS, user_id))


async def lock_account(connection: Connection, user_id: str) -> None:
    """Keep others from changing an account and its memberships until the transaction ends."""
    await connection.fetchval(_PERSON + _suffix(lock=True, mode="no key update"), user_id)


async def others_in_charge(connection: Connection, user_id: str, *, lock: bool = False) -> bool:
    """Tell whether there is an active superadmin beside a user; locked, none stops being one."""
    rows = await connection.fetch(_IN_CHARGE + _suffix(lock, "no key update"), user_id)
    return any(row["in_charge"] for row in rows if row["user_id"] != user_id)


async def active_keypairs(
    connection: Connection, user_id: str, *, lock: bool = False
) -> tuple[str, ...]:
    """Return the access keys of a user's active keypairs."""
    rows = await connection.fetch(_ACTIVE_KEYPAIRS + _suffix(lock, "no key update"), user_id)
    return tuple(row["access_key"] for row in rows)
