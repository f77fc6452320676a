"""What our own database raises while it is away: a 503, not a bug."""

from typing import Final

import asyncpg

from shared.kernel.rejections import Rejection, unavailable

OUTAGES: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
)
DATABASE_AWAY: Final[Rejection] = unavailable(
    "database_away", "The read models are not reachable at the moment; try again.", 2
)
