"""What a new session waits for besides room: a time, and sessions that must end well first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from services.gateway.http.times import parse_moment
from shared.kernel.rejections import FieldError

DEPENDENCIES_MAX: Final = 100
_NEWEST: Final = (
    "select id, name from sessions where user_id = $1 and (id = any($2::text[])"
    " or name = any($2::text[])) order by created_at, id"
)


def start_time(text: str | None, errors: list[FieldError]) -> datetime | None:
    """Return the moment that `starts_at` means; what is wrong with it is added to `errors`."""
    if text is None:
        return None
    moment = parse_moment(text)
    if moment is None:
        message = "starts_at is a time such as 2026-01-31T23:59:59Z (RFC 3339)."
        errors.append(FieldError("starts_at", "not_a_time", message))
    return moment


async def dependencies(
    pool: asyncpg.Pool, user_id: str, wanted: Sequence[str], errors: list[FieldError]
) -> tuple[str, ...]:
    """Return the ids of a user's sessions by ids or names, the newest of each name.

    What is not found stays as it is: the scheduler knows of it, or refuses it.
    """
    if not wanted:
        return ()
    if len(wanted) > DEPENDENCIES_MAX:
        message = f"A session depends on at most {DEPENDENCIES_MAX} others."
        errors.append(FieldError("depends_on", "too_many", message))
        return ()
    rows = await pool.fetch(_NEWEST, user_id, list(wanted))
    ids = {row["id"] for row in rows}
    newest = {row["name"]: row["id"] for row in rows}
    return tuple(one if one in ids else newest.get(one, one) for one in wanted)
