"""When sessions have to end, by the policy that holds for their keypairs now."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

# a keypair that is gone binds what it has started by the policy that it had last
_LIFETIMES: Final = (
    "select s.id, case when p.doc::json->>'lifetime_base' = 'created'"
    " then greatest(s.created_at, (s.doc::json->>'starts_at')::timestamptz)"
    " when s.status = 'RUNNING'"
    " then (s.doc::json->'times'->>'started_at')::timestamptz end as begins_at,"
    " (p.doc::json->>'max_session_lifetime')::bigint as lifetime_s"
    " from sessions s cross join lateral (select resource_policy from ("
    " select resource_policy, null::timestamptz as valid_to from keypairs where id = s.access_key"
    " union all select resource_policy, valid_to from keypair_versions where id = s.access_key"
    ") known order by valid_to desc nulls first limit 1) k"
    " join keypair_policies p on p.id = k.resource_policy"
    " where s.id = any($1::text[]) and s.status in ('PENDING', 'RUNNING')"
    " and s.type <> 'inference'"
)


async def deadlines_of(pool: asyncpg.Pool, session_ids: Sequence[str]) -> dict[str, datetime]:
    """Return when sessions will be ended because of their age; without a limit they won't be."""
    if not session_ids:
        return {}
    rows = await pool.fetch(_LIFETIMES, session_ids)
    return {
        row["id"]: row["begins_at"] + timedelta(seconds=row["lifetime_s"])
        for row in rows
        if row["lifetime_s"] and row["begins_at"] is not None
    }
