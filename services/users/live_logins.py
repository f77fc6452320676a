"""Which log-in sessions of a user live, and ending them all together with something else."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import asyncpg

from services.users.answers import FactsChanged
from shared.contracts.users import LoginEnd, LoginEnded
from shared.eventlog.codec import stream_name
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Write

_LIVE: Final = (
    "select login_id from logins where user_id = $1 and expires_at > $2 order by login_id"
)
_LOCK: Final = "select from accounts where user_id = $1 for no key update"
_FORGET_EXPIRED: Final = "delete from logins where user_id = $1 and expires_at <= $2"


async def live_logins(pool: asyncpg.Pool, user_id: str, now: datetime) -> tuple[str, ...]:
    """Return the ids of a user's log-in sessions that have neither ended nor expired."""
    with reaching_postgres():
        rows = await pool.fetch(_LIVE, user_id, now)
    return tuple(login_id for (login_id,) in rows)


def endings(user_id: str, login_ids: Iterable[str], reason: LoginEnd) -> list[Write]:
    """Return what ends these sessions, for an append that also calls `hold`."""
    return [
        Write(
            stream_name("login", login_id),
            1,  # it has been started, and nothing else can have happened to it
            (LoginEnded(login_id=login_id, user_id=user_id, reason=reason),),
        )
        for login_id in login_ids
    ]


async def hold(
    connection: asyncpg.Connection, user_id: str, known: Iterable[str], now: datetime
) -> None:
    """Let nobody log in as this user until the commit, and make sure that nobody has meanwhile.

    `known` are the sessions that were found before (`live_logins`), those that go on included.
    Raises FactsChanged when there is another one.
    """
    await connection.execute(_LOCK, user_id)
    there = {login_id for (login_id,) in await connection.fetch(_LIVE, user_id, now)}
    if not there <= set(known):
        raise FactsChanged(user_id)


async def forget_expired(connection: asyncpg.Connection, user_id: str, now: datetime) -> None:
    """Drop the rows of a user's sessions that ended by themselves."""
    await connection.execute(_FORGET_EXPIRED, user_id, now)
