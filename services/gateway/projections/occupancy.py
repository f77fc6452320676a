"""What keypairs, users, projects, domains, agents and devices hold, counted as sessions go on.

A session waits (PENDING), then holds what it asked for (SCHEDULED to TERMINATING), then neither.
Each change of that moves the counters of everybody whom it is charged to, in the transaction that
changes the session's row; amounts are integers as in `shared.kernel.slots`. The slot SESSIONS
counts the sessions themselves.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import asyncpg
import msgspec

from services.gateway.documents.sessions import SessionDocument
from services.gateway.projections.session_fold import HOLDING
from shared.kernel.slots import amount_of

SESSIONS: Final = ""  # no slot has an empty name
Counter = tuple[str, str, str]  # a scope such as keypair or device, an id in it, and a slot
Devices = Mapping[str, Mapping[str, str]]
Amounts = Sequence[tuple[str, int]]
Part = Literal["held", "waiting", "nothing"]


class Standing(NamedTuple):
    """How a session counts, and for each of its kernels the agent and devices that it holds."""

    part: Part
    kernels: tuple[tuple[str, Devices] | None, ...]


def standing(session: SessionDocument) -> Standing:
    """Return how a session counts now."""
    kernels = tuple(
        (kernel.agent_id, kernel.devices)
        if kernel.status in HOLDING and kernel.agent_id is not None
        else None
        for kernel in session.kernels
    )
    if session.status == "PENDING":
        return Standing("waiting", kernels)
    return Standing("held" if session.status in HOLDING else "nothing", kernels)


class Moved(msgspec.Struct):
    """By how much a counter has moved. As text, for a sum may be larger than JSON's integers."""

    scope: str
    id: str
    slot: str
    held: str
    waiting: str


class Occupancy:
    """What a batch of events makes of the counters: the difference of before and after."""

    def __init__(self, sessions: Mapping[str, SessionDocument]) -> None:
        """Begin with the sessions that were loaded; they may be changed in place later."""
        self._before = {key: standing(session) for key, session in sessions.items()}
        self._held: dict[Counter, int] = {}
        self._waiting: dict[Counter, int] = {}

    async def save(
        self, tx: asyncpg.Connection, table: str, sessions: Mapping[str, SessionDocument]
    ) -> None:
        """Write what the batch has made of the counters."""
        for key, session in sessions.items():
            before, after = self._before.get(key), standing(session)
            if before != after:
                if before is not None:
                    self._count(session, before, -1)
                self._count(session, after, 1)
        changed = [
            Moved(*counter, str(self._held.get(counter, 0)), str(self._waiting.get(counter, 0)))
            for counter in self._held.keys() | self._waiting.keys()
            if self._held.get(counter) or self._waiting.get(counter)
        ]
        if changed:
            await tx.execute(
                f"insert into {table} as t (scope, id, slot, held, waiting)"  # noqa: S608  # a name of our own code
                " select * from json_to_recordset($1::json)"
                " as moved(scope text, id text, slot text, held numeric, waiting numeric)"
                " on conflict (scope, id, slot) do update"
                " set held = t.held + excluded.held, waiting = t.waiting + excluded.waiting",
                msgspec.json.encode(changed).decode(),
            )

    def _count(self, session: SessionDocument, how: Standing, sign: int) -> None:
        count(session, how, sign, self._held, self._waiting)


def reckon(
    sessions: Iterable[SessionDocument], held: dict[Counter, int], waiting: dict[Counter, int]
) -> None:
    """Add what these sessions hold and wait for."""
    for session in sessions:
        count(session, standing(session), 1, held, waiting)


def count(
    session: SessionDocument,
    how: Standing,
    sign: int,
    held: dict[Counter, int],
    waiting: dict[Counter, int],
) -> None:
    """Count a session in, or with the sign -1 out, as it stands."""
    if how.part != "nothing":
        counts = held if how.part == "held" else waiting
        amounts = _amounts(session.requested, sign)
        for scope, key in charged(session):
            _add(counts, scope, key, amounts)
            _add(counts, scope, key, ((SESSIONS, sign),))
    agents: set[str] = set()
    for kernel, holds in zip(session.kernels, how.kernels, strict=True):
        if holds is not None:
            agent_id, devices = holds
            agents.add(agent_id)
            _add(held, "agent", agent_id, _amounts(kernel.requested, sign))
            for slot, parts in devices.items():
                for device_id, text in parts.items():
                    part = _amounts({slot: text}, sign)
                    _add(held, "device", device_key(agent_id, device_id), part)
    for agent_id in agents:
        _add(held, "agent", agent_id, ((SESSIONS, sign),))


def device_key(agent_id: str, device_id: str) -> str:
    """Return the id of the counters of one device."""
    return f"{agent_id}/{device_id}"


async def create_occupancy(connection: asyncpg.Connection, table: str) -> None:
    """Create the table of counters under the name `table`.

    The sums are numeric: many sessions may wait that ask for more than any machine has.
    """
    await connection.execute(
        f"create table {table} (scope text, id text, slot text, held numeric not null,"
        " waiting numeric not null, primary key (scope, id, slot)) with (fillfactor = 70)"
    )


def charged(session: SessionDocument) -> Iterable[tuple[str, str]]:
    """Return whom a session counts for, as (scope, id)."""
    if session.access_key is not None:
        yield "keypair", session.access_key
    yield "user", session.user_id
    yield "project", session.project
    yield "domain", session.domain


def _amounts(slots: Mapping[str, str], sign: int) -> Amounts:
    return [(slot, sign * amount_of(slot, text)) for slot, text in slots.items()]


def _add(counts: dict[Counter, int], scope: str, key: str, amounts: Amounts) -> None:
    for slot, amount in amounts:
        counter = (scope, key, slot)
        counts[counter] = counts.get(counter, 0) + amount
