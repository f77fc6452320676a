"""The spine: what each service's first revision creates, the same everywhere.

What has been released is never edited: a later change of the spine is a new function here and a
new revision in every service.
"""

from pathlib import Path
from typing import Final

from alembic import op

_TABLES: Final = (
    """
    create table log_head (
        one boolean primary key default true check (one),
        position bigint not null,
        hash bytea not null,
        recorded_at timestamptz not null,
        epochs_given bigint not null default 0
    ) with (fillfactor = 10)
    """,
    """
    insert into log_head (position, hash, recorded_at)
        values (0, decode(repeat('00', 32), 'hex'), 'epoch')
    """,
    """
    create table events (
        position bigint primary key check (position > 0),
        stream text not null,
        version int not null check (version > 0),
        type text not null,
        schema_version smallint not null check (schema_version > 0),
        data json not null,
        meta json not null,
        event_id uuid not null,
        recorded_at timestamptz not null,
        hash bytea not null check (octet_length(hash) = 32),
        unique (stream, version)
    )
    """,
    """
    create table commands_done (
        idempotency_key text primary key,
        digest text not null,
        position bigint not null,
        result json not null,
        done_at timestamptz not null
    )
    """,
    "create index commands_done_by_age on commands_done (done_at)",
    """
    create table claims (
        kind text,
        value text,
        owner text not null,
        primary key (kind, value)
    )
    """,
    "create index claims_by_owner on claims (owner)",
    "create table epochs (name text primary key, epoch bigint not null unique)",
    """
    create table snapshots (
        stream text primary key,
        version int not null,
        state_version smallint not null,
        state bytea not null
    )
    """,
    """
    create table timers (
        timer_id text primary key,
        due_at timestamptz not null,
        kind text not null,
        payload json not null
    )
    """,
    "create index timers_by_due_at on timers (due_at)",
)
_CHECKPOINTS: Final = """
    create table checkpoints (
        projection text,
        generation int,
        source text,
        position bigint not null,
        primary key (projection, generation, source)
    )
"""


def create_log() -> None:
    """Create the tables and functions of a service that owns a log; needs Postgres 15 or later."""
    for statement in _TABLES:
        _execute(statement)
    create_checkpoints()
    _execute(Path(__file__).with_name("append_v1.sql").read_text(encoding="utf-8"))
    # history is added to, never changed: not even by the service that owns it
    _execute(
        "do $$ begin execute format("
        "'revoke update, delete, truncate on events from %I', 'qm_' || current_schema()); "
        "end $$"
    )


def create_checkpoints() -> None:
    """Create what the projection runner needs; part of `create_log`, alone in the gateway."""
    _execute(_CHECKPOINTS)


def _execute(statement: str) -> None:
    # past SQLAlchemy's text(), which would read a colon in a body as a parameter
    op.get_bind().exec_driver_sql(statement)
