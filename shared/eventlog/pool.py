"""Connections to a service's own schema, under our rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg

from shared.eventlog.outcomes import LogUnavailable

POOL_MIN: Final = 1
POOL_MAX: Final = 8
STATEMENT_TIMEOUT_S: Final = 30
LOCK_TIMEOUT_S: Final = 10
IDLE_TRANSACTION_TIMEOUT_S: Final = 30
COMMAND_TIMEOUT_S: Final = 35.0
_AWAY: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what asyncpg makes of a connection that dies at a bad moment
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
)


async def open_pool(
    url: str,
    *,
    name: str,
    min_size: int = POOL_MIN,
    max_size: int = POOL_MAX,
    schema: str | None = None,
) -> asyncpg.Pool:
    """Open a pool of connections; the role's search path makes every name resolve to its schema.

    An administrator, who has no schema, names one.
    Nothing on a connection outlives its statement or transaction, so no reset (a round trip) is
    made when it is given back: session settings, listening and session locks are not allowed.
    """
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        reset=_nothing_to_reset,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=server_settings(name) | ({"search_path": schema} if schema else {}),
    )


def server_settings(name: str) -> dict[str, str]:
    """Return the session settings: every wait inside Postgres has an end."""
    return {
        "application_name": name,
        "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
        "lock_timeout": f"{LOCK_TIMEOUT_S}s",
        "idle_in_transaction_session_timeout": f"{IDLE_TRANSACTION_TIMEOUT_S}s",
        "jit": "off",
        "timezone": "UTC",
    }


async def _nothing_to_reset(_connection: Any) -> None:
    return


@contextmanager
def reaching_postgres() -> Iterator[None]:
    """Turn every sign that Postgres is away, full or too slow into LogUnavailable."""
    try:
        yield
    except _AWAY as problem:
        if isinstance(problem, ValueError):  # asyncpg's word for an argument it cannot encode
            raise
        raise LogUnavailable(f"the log cannot be reached: {type(problem).__name__}") from problem
