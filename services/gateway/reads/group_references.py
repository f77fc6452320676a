"""What refers to a resource group: why it can't be deleted now."""

from typing import Final

import asyncpg
import msgspec

from services.gateway.documents.references import Deletability, DeletionReason
from services.gateway.reads.pages import Page
from shared.contracts.scheduler import TERMINAL_STATUSES

_ALL: Final = """
    select 'agent' as type, id, id as name, lower(status) as status from agents
     where resource_group = $1 and status = 'ALIVE'
    union all
    select 'session', id, name, lower(status) from sessions
     where resource_group = $1 and status <> all($2::text[])
    union all
    select 'preset', id, name, null from presets where resource_group = $1
    union all
    select kind, value, coalesce(p.name, value), null from resource_group_access
      left join projects p on kind = 'project' and p.id = value
     where group_name = $1 and kind <> 'everybody'
"""
_PAGE: Final = f"select * from ({_ALL}) as r order by type, name, id limit $3 offset $4"  # noqa: S608  # our constants
_COUNT: Final = f"select count(*) from ({_ALL}) as r"  # noqa: S608  # our constants


class GroupReference(msgspec.Struct, kw_only=True):
    """Something that a group can't be deleted for: an agent, a session, a preset, or who may enter.

    `status` is that of an agent or a session.
    """

    type: str
    id: str
    name: str
    status: str | None


async def group_references(
    pool: asyncpg.Pool, name: str, *, is_default: bool, limit: int, offset: int
) -> tuple[Page, Deletability]:
    """Return one page of what refers to a group, and whether it could be deleted now."""
    ended = sorted(TERMINAL_STATUSES)
    rows = await pool.fetch(_PAGE, name, ended, limit, offset)
    total: int = await pool.fetchval(_COUNT, name, ended)
    found = (GroupReference(**dict(row)) for row in rows)
    page = Page(tuple(msgspec.json.encode(one).decode() for one in found), total)
    if is_default:
        text = "It is the default group; make another group the default first."
        reason = DeletionReason(code="default_group", message=text)
        return page, Deletability(deletable=False, reason=reason)
    if total:
        text = f"{total} agents, sessions, presets and permissions to enter refer to it."
        reason = DeletionReason(code="resource_group_in_use", message=text)
        return page, Deletability(deletable=False, reason=reason)
    return page, Deletability(deletable=True, reason=None)
