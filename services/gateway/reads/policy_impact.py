"""Who would be over the limits of a changed policy now, and by how much."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
from msgspec import UNSET, UnsetType

from services.gateway.actions.warnings import limit_warnings
from services.gateway.documents.impact import Exceeding, Impact
from services.gateway.projections.occupancy import SESSIONS
from services.gateway.reads.capacity import capacity
from services.gateway.reads.limit_scopes import CONCURRENT, PENDING, PENDING_SLOTS, TOTAL
from services.gateway.reads.models import ReadModels
from services.gateway.reads.references import USES
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    ChangeProjectPolicy,
    ChangeUserPolicy,
    PolicyKind,
)
from shared.kernel.slots import Limits, limits_of, render_amount
from shared.projections.transactions import snapshot

Change = ChangeKeypairPolicy | ChangeUserPolicy | ChangeProjectPolicy
SHOWN_MAX: Final = 100
LIVING: Final = ("PENDING", "SCHEDULED", "PREPARING", "RUNNING", "RESTARTING", "TERMINATING")
UNSPECIFIED: Final = "default_for_unspecified"
# their use is not known yet; what the other kinds of policies limit is not known either
_UNMEASURED: Final = frozenset({"allowed_hosts", "idle_timeout", "max_concurrent_sftp_sessions"})
_NO_LIMITS: Final = frozenset({"name", "is_default", UNSPECIFIED, "check_only"})
LIFETIME: Final = "max_session_lifetime"
_PER_SESSION: Final = ("max_containers_per_session", "max_priority", LIFETIME)
_OVER: Final = f"""
    with bound as materialized (select id, user_id from keypairs where resource_policy = $1),
    ceilings(field, slot, of_waiting, most) as
        (select * from unnest($2::text[], $3::text[], $4::boolean[], $5::numeric[])),
    used as (
        select b.id, b.user_id, o.slot, o.held, o.waiting
          from bound b join occupancy o on o.scope = 'keypair' and o.id = b.id),
    living as (
        select s.id, s.name, s.user_id, s.status, s.priority,
               (s.doc::json->>'cluster_size')::bigint as size,
               extract(epoch from $7::timestamptz - case when $9 then greatest(s.created_at,
                   (s.doc::json->>'starts_at')::timestamptz)
                   else (s.doc::json->'times'->>'started_at')::timestamptz end)::bigint as age_s
          from sessions s join bound b on b.id = s.access_key
         where s.status = any($8::text[])),
    measured(type, id, name, user_id, field, slot, used, most) as (
        select 'keypair', u.id, u.id, u.user_id, c.field, u.slot,
               case when c.of_waiting then u.waiting else u.held end, c.most
          from used u join ceilings c on c.slot = u.slot
        union all
        select 'keypair', id, id, user_id, '{TOTAL}', slot, held, 0 from used
         where slot <> '{SESSIONS}' and slot <> all($6::text[])
        union all
        select 'session', s.id, s.name, s.user_id, c.field, '', case c.field
               when 'max_containers_per_session' then s.size
               when 'max_priority' then case when s.status = 'PENDING' then s.priority end
               else s.age_s end, c.most
          from living s join ceilings c on c.slot is null)
    select *, count(*) over () as total from measured where used > most
     order by type, field, slot, used - most desc, id limit {SHOWN_MAX}
"""  # noqa: S608  # our constants


class _Ceiling(NamedTuple):
    """A limit to compare with: of a slot, of SESSIONS, or (None) of each session by itself."""

    field: str
    slot: str | None
    of_waiting: bool
    most: int


async def policy_impact(
    reads: ReadModels, kind: PolicyKind, before: Mapping[str, Any], change: Change, now: datetime
) -> Impact:
    """Return what a change would mean; `before` is the policy's document."""
    named = {
        field
        for field in change.__struct_fields__
        if field not in _NO_LIMITS and getattr(change, field) is not UNSET
    }
    uses, rows, warnings = USES[kind], [], []
    async with snapshot(reads.pool) as connection:
        bound = await uses.number(connection, before["name"])
        if isinstance(change, ChangeKeypairPolicy):
            rows = await _over(connection, before, change, now)
    if isinstance(change, ChangeKeypairPolicy):
        named &= _UNMEASURED
        totals = _after(before, TOTAL, change.total_resource_slots)
        warnings = list(limit_warnings(TOTAL, totals, await capacity(reads)))
    return Impact(
        bound=bound,
        exceeding=[_exceeding(row) for row in rows],
        exceeding_total=rows[0]["total"] if rows else 0,
        unmeasured=sorted(named),
        warnings=warnings,
    )


async def _over(
    connection: asyncpg.Connection,
    before: Mapping[str, Any],
    change: ChangeKeypairPolicy,
    now: datetime,
) -> list[asyncpg.Record]:
    ceilings = list(_ceilings(before, change))
    rows: list[asyncpg.Record] = await connection.fetch(
        _OVER,
        before["name"],
        [ceiling.field for ceiling in ceilings],
        [ceiling.slot for ceiling in ceilings],
        [ceiling.of_waiting for ceiling in ceilings],
        [ceiling.most for ceiling in ceilings],
        _named_slots(before, change),
        now,
        LIVING,
        _after_field(before, change, "lifetime_base") == "created",
    )
    return rows


def _ceilings(before: Mapping[str, Any], change: ChangeKeypairPolicy) -> Iterator[_Ceiling]:
    """Yield the limits that a change names, as they would be; what is unlimited is none."""
    if _touches_totals(change):
        yield from _of_slots(TOTAL, _after(before, TOTAL, change.total_resource_slots))
    waiting = change.max_pending_session_resource_slots
    if not isinstance(waiting, UnsetType):
        yield from _of_slots(PENDING_SLOTS, waiting)
    for field in (CONCURRENT, PENDING, *_PER_SESSION):
        most = getattr(change, field)
        if field == LIFETIME and change.lifetime_base is not UNSET:
            most = _after_field(before, change, field)
        if isinstance(most, int):
            slot = None if field in _PER_SESSION else SESSIONS
            yield _Ceiling(field, slot, field == PENDING, most)


def _of_slots(field: str, limits: Limits) -> Iterator[_Ceiling]:
    for slot, most in limits.items():
        if most is not None:
            yield _Ceiling(field, slot, field == PENDING_SLOTS, most)


def _touches_totals(change: ChangeKeypairPolicy) -> bool:
    return change.total_resource_slots is not UNSET or change.default_for_unspecified is not UNSET


def _after(before: Mapping[str, Any], field: str, limits: Limits | UnsetType) -> Limits:
    return limits_of(before[field]) if isinstance(limits, UnsetType) else limits


def _after_field(before: Mapping[str, Any], change: ChangeKeypairPolicy, field: str) -> Any:
    value = getattr(change, field)
    return before[field] if value is UNSET else value


def _named_slots(before: Mapping[str, Any], change: ChangeKeypairPolicy) -> list[str] | None:
    """Return the slots beside which nothing may be held; None when everything may."""
    unspecified = change.default_for_unspecified
    if isinstance(unspecified, UnsetType):
        unspecified = before[UNSPECIFIED]
    if unspecified != "limited" or not _touches_totals(change):
        return None
    return list(_after(before, TOTAL, change.total_resource_slots))


def _exceeding(row: asyncpg.Record) -> Exceeding:
    slot = row["slot"] or None
    used, most = int(row["used"]), int(row["most"])
    numbers: list[int | str] = [used, most, used - most]
    if slot is not None:
        numbers = [render_amount(slot, int(number)) for number in numbers]
    return Exceeding(
        type=row["type"],
        id=row["id"],
        name=row["name"],
        user_id=row["user_id"],
        field=row["field"],
        slot=slot,
        used=numbers[0],
        limit=numbers[1],
        over_by=numbers[2],
    )
