"""The read model of the scheduler: resource groups, sessions, and who holds how much."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from services.gateway.documents.sessions import SessionDocument
from services.gateway.projections.occupancy import Occupancy, create_occupancy
from services.gateway.projections.resource_groups import TABLES as GROUP_TABLES
from services.gateway.projections.resource_groups import (
    apply_resource_groups,
    create_resource_groups,
)
from services.gateway.projections.session_fold import advance, enqueued
from services.gateway.projections.tables import Column, DocumentTable, times
from shared.contracts.scheduler import SessionEnqueued, SessionEvent
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables

SESSIONS: Final = DocumentTable(
    "sessions",
    SessionDocument,
    (
        Column("name", "text", lambda session: session.name),
        Column("type", "text", lambda session: session.type),
        Column("status", "text", lambda session: session.status),
        Column("user_id", "text", lambda session: session.user_id),
        Column("access_key", "text", lambda session: session.access_key or ""),
        Column("domain", "text", lambda session: session.domain),
        Column("project", "text", lambda session: session.project),
        Column("resource_group", "text", lambda session: session.resource_group),
        Column("image", "text", lambda session: session.image),
        Column("result", "text", lambda session: session.result),
        Column("cluster_mode", "text", lambda session: session.cluster_mode),
        Column("priority", "bigint", lambda session: session.priority),
        *times(),
    ),
)


class SessionsProjection:
    """Folds the scheduler's events."""

    name = "sessions"
    version = 7
    sources = ("scheduler",)
    tables = (*GROUP_TABLES, "sessions", "occupancy")

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        await create_resource_groups(tx, tables)
        await SESSIONS.create(
            tx,
            tables("sessions"),
            indexes=(
                "created_at, id",
                "user_id, created_at, id",
                "domain, created_at, id",
                "status, created_at, id",
            ),
        )
        await create_occupancy(tx, tables("occupancy"))
        await tx.execute(
            f"create index on {tables('sessions')} (resource_group) where status = 'PENDING'"
        )

    async def apply(
        self,
        tx: asyncpg.Connection,
        tables: Tables,
        source: str,  # noqa: ARG002  # the only source
        events: Sequence[Recorded],
    ) -> None:
        """Apply events of the scheduler, in order."""
        known = {
            item.event.session_id
            for item in events
            if isinstance(item.event, SessionEvent) and not isinstance(item.event, SessionEnqueued)
        }
        sessions = await SESSIONS.load(tx, tables("sessions"), known)
        occupancy = Occupancy(sessions)
        for recorded in events:
            event, at = recorded.event, recorded.recorded_at
            if isinstance(event, SessionEnqueued):
                sessions[event.session_id] = enqueued(event, at)
            elif isinstance(event, SessionEvent):
                advance(sessions[event.session_id], event, at)
        await apply_resource_groups(tx, tables, events)
        await SESSIONS.save(tx, tables("sessions"), sessions)
        await occupancy.save(tx, tables("occupancy"), sessions)
