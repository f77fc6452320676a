"""The read model of the scheduler: resource groups, sessions, and who holds how much."""

from collections.abc import Iterable, Sequence
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
from services.gateway.several import among, joined
from shared.contracts.scheduler import SessionEnqueued, SessionEvent
from shared.eventlog.records import Recorded
from shared.kernel.slots import is_bytes, slots_of
from shared.projections.projection import Tables

BIGINT_MAX: Final = 2**63 - 1
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
        Column("status_info", "text", lambda session: session.status_info or ""),
        Column("agent", "text", lambda session: joined(session.agents)),
        Column("cpu_milli", "bigint", lambda session: _milli(session, is_cpu=True)),
        Column("accelerators_milli", "bigint", lambda session: _milli(session, is_cpu=False)),
        Column("mem_bytes", "bigint", lambda session: _mem(session)),  # noqa: PLW0108  # is defined below
        Column("scheduled_at", "timestamptz", lambda session: session.times.scheduled_at),
        Column("started_at", "timestamptz", lambda session: session.times.started_at),
        Column("terminated_at", "timestamptz", lambda session: session.times.terminated_at),
        *times(),
    ),
)


def _milli(session: SessionDocument, *, is_cpu: bool) -> int:
    """Return the processors asked for, or all accelerators together, in thousandths."""
    return _bounded(
        amount
        for name, amount in slots_of(session.requested).items()
        if not is_bytes(name) and (name == "cpu") is is_cpu
    )


def _mem(session: SessionDocument) -> int:
    return _bounded((slots_of(session.requested).get("mem", 0),))


def _bounded(amounts: Iterable[int]) -> int:
    """Add amounts up as far as a column reaches: many kernels may ask for absurdly much."""
    return min(sum(amounts), BIGINT_MAX)


class SessionsProjection:
    """Folds the scheduler's events."""

    name = "sessions"
    version = 8
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
                "terminated_at, id",
            ),
            nullable=frozenset({"scheduled_at", "started_at", "terminated_at"}),
        )
        await tx.execute(
            f"create index on {tables('sessions')} using gin ({among('agent')}) where agent <> ''"
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
