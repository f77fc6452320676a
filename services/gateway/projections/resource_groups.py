"""Resource groups as documents, what they were, and who may enter them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
from msgspec import UNSET

from services.gateway.documents.resource_groups import ResourceGroupDocument
from services.gateway.projections.tables import Column, times
from services.gateway.projections.versions import VersionedTable, Versions
from shared.contracts.scheduler import (
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
    ResourceGroupEvent,
)
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables

# what only those are shown who see all groups
GUARDED: Final = (
    "wsproxy_addr",
    "has_wsproxy_api_token",
    "allowed_domains",
    "allowed_projects",
    "allowed_keypairs",
)
EVERYBODY: Final = "everybody"


def for_users(group: ResourceGroupDocument) -> str:
    """Return a group's document for those who may use it: without who else may."""
    hidden: dict[str, Any] = dict.fromkeys(GUARDED, UNSET)
    return msgspec.json.encode(msgspec.structs.replace(group, **hidden)).decode()


RESOURCE_GROUPS: Final = VersionedTable(
    "resource_groups",
    ResourceGroupDocument,
    (
        Column("name", "text", lambda group: group.name),
        Column("description", "text", lambda group: group.description),
        Column("is_active", "boolean", lambda group: group.is_active),
        Column("is_public", "boolean", lambda group: group.is_public),
        Column("is_default", "boolean", lambda group: group.is_default),
        Column("scheduler", "text", lambda group: group.scheduler),
        Column("narrow_doc", "text", for_users),
        *times(),
    ),
)
TABLES: Final = ("resource_groups", "resource_group_versions", "resource_group_access")
_ACCESS: Final = (
    "create table {} (group_name text, kind text, value text,"
    " primary key (kind, value, group_name))"
)


async def create_resource_groups(tx: asyncpg.Connection, tables: Tables) -> None:
    """Create the empty tables of one generation."""
    await RESOURCE_GROUPS.create(tx, tables("resource_groups"))
    await RESOURCE_GROUPS.create_versions(tx, tables("resource_group_versions"))
    await tx.execute(_ACCESS.format(tables("resource_group_access")))


async def apply_resource_groups(
    tx: asyncpg.Connection, tables: Tables, events: Iterable[Recorded]
) -> None:
    """Apply those of a batch's events that are about groups."""
    about = [recorded for recorded in events if isinstance(recorded.event, ResourceGroupEvent)]
    if not about:
        return
    keys = {recorded.event.key() for recorded in about}
    groups = await RESOURCE_GROUPS.load(tx, tables("resource_groups"), keys)
    versions = Versions(RESOURCE_GROUPS, groups)
    for recorded in about:
        fold(groups, recorded)
        versions.note(groups, (recorded.event.key(),), recorded.recorded_at)
    await versions.save(
        tx, tables("resource_groups"), tables("resource_group_versions"), None, groups
    )
    await _save_access(tx, tables("resource_group_access"), keys, groups)


def fold(groups: dict[str, ResourceGroupDocument], recorded: Recorded) -> None:
    """Fold one event into the documents."""
    event, at = recorded.event, recorded.recorded_at
    match event:
        case ResourceGroupCreated():
            groups[event.name] = _created(event, at)
        case ResourceGroupChanged():
            _change(groups[event.name], event, at)
        case ResourceGroupDeleted():
            del groups[event.name]


def access(group: ResourceGroupDocument) -> Iterator[tuple[str, str]]:
    """Yield who may enter a group: what kind, and which."""
    if group.allowed_domains is None:
        yield EVERYBODY, ""
    for kind, allowed in (
        ("domain", group.allowed_domains),
        ("project", group.allowed_projects),
        ("keypair", group.allowed_keypairs),
    ):
        for value in allowed or ():
            yield kind, value


def _created(event: ResourceGroupCreated, at: datetime) -> ResourceGroupDocument:
    return ResourceGroupDocument(
        id=event.name,
        name=event.name,
        description=event.description,
        is_active=event.is_active,
        is_public=event.is_public,
        is_default=event.is_default,
        scheduler=event.scheduler,
        retries_to_skip=event.retries_to_skip,
        pending_timeout=event.pending_timeout,
        allowed_session_types=list(event.allowed_session_types),
        agent_selection_strategy=event.agent_selection_strategy,
        allow_fractional_resource_fragmentation=event.allow_fractional_resource_fragmentation,
        wsproxy_addr=event.wsproxy_addr,
        has_wsproxy_api_token=event.wsproxy_api_token is not None,
        allowed_domains=None if event.allowed_domains is None else list(event.allowed_domains),
        allowed_projects=list(event.allowed_projects),
        allowed_keypairs=list(event.allowed_keypairs),
        created_at=at,
        modified_at=at,
    )


def _change(group: ResourceGroupDocument, event: ResourceGroupChanged, at: datetime) -> None:
    for item in msgspec.structs.fields(ResourceGroupChanged):
        value = getattr(event, item.name)
        if value is UNSET or item.name == "name":
            continue
        if item.name == "wsproxy_api_token":
            group.has_wsproxy_api_token = value is not None
        else:
            setattr(group, item.name, list(value) if isinstance(value, tuple) else value)
    group.modified_at = at


async def _save_access(
    tx: asyncpg.Connection,
    table: str,
    keys: Iterable[str],
    groups: Mapping[str, ResourceGroupDocument],
) -> None:
    await tx.execute(
        f"delete from {table} where group_name = any($1::text[])",  # noqa: S608  # our constant
        list(keys),
    )
    rows = [(name, *one) for name, group in groups.items() for one in access(group)]
    await tx.execute(
        f"insert into {table} (group_name, kind, value)"  # noqa: S608  # our constant
        " select distinct * from unnest($1::text[], $2::text[], $3::text[])",
        [name for name, _, _ in rows],
        [kind for _, kind, _ in rows],
        [value for _, _, value in rows],
    )
