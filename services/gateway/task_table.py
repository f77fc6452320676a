"""Tasks in the gateway's database: whoever runs one may die, and another goes on with it.

A runner holds a lease on its task (`runner`, `seen_at`) and gives proof of life; one that is not
seen any more loses it. Progress is kept piece by piece. What a piece has to show is in two parts:
the outcome, and what is shown once (e-mail addresses, generated passwords), which is sealed and
deleted when it has been shown or its time is over.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeVar

import asyncpg
import msgspec

from services.gateway.http.idempotency import mismatch
from services.gateway.http.problems import Refused
from shared.eventlog.records import CommandKey
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import unavailable
from shared.observability.logging import get_logger
from shared.projections.transactions import transaction
from shared.security.sealing import Keyring, SealBroken

log = get_logger(__name__)
T = TypeVar("T")
LEASE_S: Final = 10.0
RUNNING_MAX: Final = 64
_PURPOSE: Final = "task-content"
_ADD: Final = """
    insert into tasks (task_id, owner, kind, idempotency_key, digest, status, total, unit, input,
                       created_at, updated_at)
    values ($1, $2, $3, $4, $5, 'running', $6, $7, $8, $9, $9)
    on conflict (idempotency_key) do nothing returning task_id
"""
_CLAIM: Final = """
    update tasks set runner = $1, seen_at = now() where task_id = (
        select task_id from tasks
         where status = 'running' and kind = any($3::text[])
           and (runner is null or seen_at < now() - make_interval(secs => $2))
         order by created_at limit 1 for update skip locked)
    returning task_id, owner, kind, done, total, input, is_cancel_asked
"""
_KEEP: Final = """
    update tasks set done = $3, message = '', seen_at = now(), updated_at = $4
     where task_id = $1 and runner = $2 and status = 'running' returning is_cancel_asked
"""
_BEAT: Final = """
    update tasks set seen_at = now(), message = coalesce($3, message)
     where task_id = $1 and runner = $2 and status = 'running' returning is_cancel_asked
"""
_END: Final = """
    update tasks set status = $3, message = $4, error = $5, input = null, updated_at = $6,
                     ended_at = $6, seen_at = null
     where task_id = $1 and runner = $2 and status = 'running'
"""
_READ: Final = """
    select task_id, kind, status, done, total, unit, message, error, is_cancel_asked, created_at,
           updated_at
      from tasks where task_id = $1 and owner = $2
"""
_CANCEL: Final = """
    update tasks set is_cancel_asked = true, updated_at = $3
     where task_id = $1 and owner = $2 and status = 'running' returning true
"""
# the task's row is locked first, so that of two who ask at the same time one is shown it
_SHOWN: Final = "select true from tasks where task_id = $1 for update"
_PIECES: Final = "select outcome, shown_once from task_pieces where task_id = $1 order by first"
_FORGET: Final = (
    "update task_pieces set shown_once = null where task_id = $1 and shown_once is not null"
)
_FORGET_OVERDUE: Final = """
    update task_pieces set shown_once = null where shown_once is not null and task_id in (
        select task_id from tasks where ended_at < $1)
"""

State = Literal["go_on", "cancel", "lost"]
End = Literal["done", "failed", "cancelled"]


class NewTask(NamedTuple):
    """A task that is to begin; `key` makes one of its repetitions."""

    owner: str
    kind: str
    total: int
    unit: str
    content: bytes
    key: CommandKey | None


class HeldTask(NamedTuple):
    """A task that this process runs; `done` says how far it came before."""

    task_id: str
    owner: str
    kind: str
    done: int
    total: int
    content: bytes
    is_cancel_asked: bool


class TaskRow(NamedTuple):
    """A task as its owner sees it."""

    task_id: str
    kind: str
    status: Literal["running", "done", "failed", "cancelled"]
    done: int
    total: int
    unit: str
    message: str
    error: str | None
    is_cancel_asked: bool
    created_at: datetime
    updated_at: datetime


class Piece(NamedTuple):
    """What some units of work came to, one entry each; `shown_once` is merged into them."""

    outcome: list[dict[str, Any]]
    shown_once: list[dict[str, Any]]


class StoredPiece(NamedTuple):
    """A piece as it is stored: JSON, and sealed JSON until it has been shown."""

    outcome: str
    shown_once: str | None


class TaskTable:
    """The tasks of this installation."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring, clock: Clock) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock

    async def add(self, task: NewTask) -> str:
        """Keep a new task and return its id, or that of the one begun under the same key.

        Raises Refused: 422 for a key of another request, 503 when too many tasks are running.
        """
        running = "select count(*) from tasks where status = 'running'"
        if await self._pool.fetchval(running) >= RUNNING_MAX:
            raise Refused(unavailable("too_many_tasks", "Too many tasks are running.", 30))
        task_id = new_id()
        key, digest = task.key or (None, None)
        added = await self._pool.fetchval(
            _ADD,
            task_id,
            task.owner,
            task.kind,
            key,
            digest,
            task.total,
            task.unit,
            self._keyring.seal(_PURPOSE, task.content, context=task_id),
            self._clock.now(),
        )
        if added is not None:
            return task_id
        sql = "select task_id, digest from tasks where idempotency_key = $1"
        known = await self._pool.fetchrow(sql, key)
        if known is None or known["digest"] != digest:
            raise Refused(mismatch())
        return str(known["task_id"])

    async def claim(self, runner: str, kinds: Iterable[str]) -> HeldTask | None:
        """Take a task of these kinds that nobody runs, the oldest first; None if there is none.

        One whose content does not open, as its master key is gone, has failed.
        """
        row = await self._pool.fetchrow(_CLAIM, runner, LEASE_S, list(kinds))
        if row is None:
            return None
        task_id, owner, kind, done, total, sealed, is_cancel_asked = row
        held = HeldTask(task_id, owner, kind, done, total, b"", is_cancel_asked)
        try:
            content = self._keyring.open(_PURPOSE, sealed, context=task_id)
        except SealBroken:
            text = f"Stopped after {done} of {total}: what is to be done cannot be read any more."
            await self.end(held, runner, "failed", text, "task_unreadable")
            return None
        return held._replace(content=content)

    async def keep(self, task: HeldTask, runner: str, first: int, piece: Piece) -> State:
        """Keep what the units from `first` on came to; "lost": another runner has the task."""
        done = first + len(piece.outcome)
        sealed = self._keyring.seal(
            _PURPOSE, msgspec.json.encode(piece.shown_once), context=f"{task.task_id}#{first}"
        )
        async with transaction(self._pool) as tx:
            found = await tx.fetchval(_KEEP, task.task_id, runner, done, self._clock.now())
            if found is None:
                return "lost"
            await tx.execute(
                "insert into task_pieces (task_id, first, outcome, shown_once)"
                " values ($1, $2, $3, $4)",
                task.task_id,
                first,
                msgspec.json.encode(piece.outcome).decode(),
                sealed,
            )
        return "cancel" if found else "go_on"

    async def beat(self, task: HeldTask, runner: str, message: str | None = None) -> State:
        """Give proof of life, and say what is waited for."""
        found = await self._pool.fetchval(_BEAT, task.task_id, runner, message)
        if found is None:
            return "lost"
        return "cancel" if found else "go_on"

    async def end(
        self, task: HeldTask, runner: str, status: End, message: str, error: str | None = None
    ) -> None:
        """Say how a task ended; what it was given is forgotten."""
        await self._pool.execute(
            _END, task.task_id, runner, status, message, error, self._clock.now()
        )

    async def read(self, owner: str, task_id: str) -> TaskRow | None:
        """Return a task of this owner."""
        row = await self._pool.fetchrow(_READ, task_id, owner)
        return None if row is None else TaskRow(*row)

    async def ask_cancel(self, owner: str, task_id: str) -> bool:
        """Ask a running task to stop; False when there is none."""
        found = await self._pool.fetchval(_CANCEL, task_id, owner, self._clock.now())
        return bool(found)

    async def take_pieces(
        self, task_id: str, use: Callable[[list[StoredPiece]], Awaitable[T]]
    ) -> T:
        """Return what `use` makes of all pieces; only then what is shown once is gone."""
        async with transaction(self._pool) as tx:
            await tx.fetchval(_SHOWN, task_id)
            rows = await tx.fetch(_PIECES, task_id)
            used = await use([StoredPiece(*row) for row in rows])
            await tx.execute(_FORGET, task_id)
        return used

    def open_pieces(self, task_id: str, pieces: list[StoredPiece]) -> list[dict[str, Any]]:
        """Return what every unit came to, with what is shown once as far as it is there."""
        units: list[dict[str, Any]] = []
        for outcome, sealed in pieces:
            entries = msgspec.json.decode(outcome)
            if sealed is not None:
                context = f"{task_id}#{len(units)}"
                try:
                    opened = self._keyring.open(_PURPOSE, sealed, context=context)
                except SealBroken:
                    log.warning("task_piece_unreadable", task_id=task_id)
                    units += entries
                    continue
                shown = msgspec.json.decode(opened)
                entries = [{**one, **other} for one, other in zip(entries, shown, strict=True)]
            units += entries
        return units

    async def forget(self, *, shown_before: datetime, ended_before: datetime) -> None:
        """Delete what is shown once of tasks long over, and tasks that are over even longer."""
        await self._pool.execute(_FORGET_OVERDUE, shown_before)
        await self._pool.execute("delete from tasks where ended_at < $1", ended_before)
