"""Which project a session counts for."""

from typing import Final

import asyncpg

from services.gateway.auth.permissions import scope_of
from services.gateway.auth.principals import Principal
from services.gateway.reads.models import ReadModels
from shared.kernel.rejections import Rejection, invalid

_MEMBER: Final = (
    "select id from projects where type = 'general' and is_active and domain = $2"
    " and id in (select project_id from memberships where user_id = $1)"
    " order by (name <> 'default'), created_at, id limit 1"
)
_NAMED: Final = (
    "select id, id in (select project_id from memberships where user_id = $1) as is_member,"
    " domain from projects where (id = $3 or name = $3) and (domain = $2 or $4)"
    " order by (domain <> $2), id limit 1"
)
_FIRST: Final = (
    "select id from projects where type = 'general' and is_active and domain = $1"
    " order by (name <> 'default'), created_at, id limit 1"
)


async def project_for(
    reads: ReadModels, principal: Principal, wanted: str | None
) -> str | Rejection:
    """Return the id of the project that the caller means, or their first general one.

    Administrators may use any project in their sight, others those they are members of.
    """
    key = ("project", principal.user_id, wanted)
    return await reads.known(key, ("users",), lambda: _find(reads.pool, principal, wanted))


async def _find(pool: asyncpg.Pool, principal: Principal, wanted: str | None) -> str | Rejection:
    scope = scope_of(principal, "projects.list")
    if wanted is None:
        found = await pool.fetchval(_MEMBER, principal.user_id, principal.domain)
        if found is None and scope != "own":
            found = await pool.fetchval(_FIRST, principal.domain)
        if found is None:
            return invalid("project", "required", "You are not a member of any project.")
        return str(found)
    key = wanted.replace("\0", "")
    row = await pool.fetchrow(_NAMED, principal.user_id, principal.domain, key, scope == "all")
    if row is None or (scope == "own" and not row["is_member"]):
        return invalid("project", "unknown", f"You have no project '{wanted[:64]}'.")
    return str(row["id"])
