"""The journal's tables and the statements on them, each within its caller's transaction."""

import sqlite3
from datetime import datetime
from typing import Final

import msgspec

from services.agents.node.domain.kernel import Ending, Record
from services.agents.node.runtime import KernelKey
from shared.contracts.kernels import KernelReport

ROWS_KEPT: Final = 100_000
USERS: Final = 60_000
SCHEMA: Final = """
create table if not exists facts (name text primary key, value text not null);
create table if not exists kernels (
    kernel_id text not null,
    attempt integer not null,
    session_id text not null,
    phase text not null,
    record blob not null,
    sequence integer not null default 0,
    ended_at real,
    forgotten integer not null default 0,
    purged integer not null default 0,
    primary key (kernel_id, attempt)
);
create table if not exists reports (
    id integer primary key,
    kernel_id text not null,
    attempt integer not null,
    body blob not null,
    refusal text
);
create index if not exists reports_of_kernel on reports (kernel_id, attempt);
"""
_records = msgspec.json.Decoder(Record)


def decode_record(data: bytes) -> Record:
    """Return a stored record."""
    return _records.decode(data)


def newest_record(file: sqlite3.Connection, kernel_id: str) -> Record | None:
    """Return the newest attempt of a kernel, forgotten or not."""
    row = file.execute(
        "select record from kernels where kernel_id = ? order by attempt desc limit 1", (kernel_id,)
    ).fetchone()
    return None if row is None else decode_record(row[0])


def put_record(file: sqlite3.Connection, record: Record, *, ended_at: float | None = None) -> None:
    """Insert or replace an attempt's record."""
    spec = record.spec
    file.execute(
        "insert into kernels (kernel_id, attempt, session_id, phase, record, ended_at)"
        " values (?, ?, ?, ?, ?, ?) on conflict (kernel_id, attempt) do update set"
        " phase = excluded.phase, record = excluded.record, ended_at = excluded.ended_at",
        (
            spec.kernel_id,
            spec.attempt,
            spec.session_id,
            record.phase,
            msgspec.json.encode(record),
            ended_at,
        ),
    )


def add_report(
    file: sqlite3.Connection, record: Record, at: datetime, ending: Ending | None = None
) -> None:
    """Add the report that tells of a record's change, numbered within its attempt."""
    key = KernelKey(record.spec.kernel_id, record.spec.attempt)
    sequence = file.execute(
        "update kernels set sequence = sequence + 1 where kernel_id = ? and attempt = ?"
        " returning sequence",
        key,
    ).fetchone()[0]
    report = KernelReport(
        session_id=record.spec.session_id,
        kernel_id=key.kernel_id,
        attempt=key.attempt,
        sequence=sequence,
        phase=record.phase,
        at=at,
        exit_code=None if ending is None else ending.exit_code,
        reason=None if ending is None else ending.reason,
        detail="" if ending is None else ending.detail,
    )
    file.execute(
        "insert into reports (kernel_id, attempt, body) values (?, ?, ?)",
        (*key, msgspec.json.encode(report)),
    )


def next_user(file: sqlite3.Connection) -> int:
    """Return a user index that no living kernel has, going round so that none is reused soon."""
    taken = {
        decode_record(row[0]).user_index
        for row in file.execute(
            "select record from kernels where phase in ('preparing', 'running')"
        )
    }
    last = file.execute("select value from facts where name = 'user'").fetchone()
    index = 0 if last is None else (int(last[0]) + 1) % USERS
    while index in taken:
        index = (index + 1) % USERS
    file.execute(
        "insert into facts values ('user', ?) on conflict do update set value = excluded.value",
        (str(index),),
    )
    return index
