"""Transactions on a pooled connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import asyncpg


@asynccontextmanager
async def transaction(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection in a transaction that commits unless the block raises."""
    async with pool.acquire() as connection, connection.transaction():
        yield cast("asyncpg.Connection", connection)  # the pool's proxy offers all of it


@asynccontextmanager
async def snapshot(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    """Give a connection on which all statements read the same moment, and write nothing."""
    async with (
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield cast("asyncpg.Connection", connection)
