"""The checks that every service has: does its database answer, is the bus there."""

from collections.abc import Callable
from typing import Any

import asyncpg
from nats.aio.client import Client

from shared.observability.health import Check, CheckFunction


def postgres_check(pool: asyncpg.Pool) -> CheckFunction:
    """Return a check that asks the database one trivial question."""

    async def check() -> Check:
        try:
            await pool.fetchval("select 1", timeout=1.5)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
            return Check(state="failed", detail=f"no answer: {type(problem).__name__}")
        return Check(state="ok")

    return check


def nats_check(nats: Client) -> CheckFunction:
    """Return a check on the connection to NATS."""

    def check() -> Check:
        if nats.is_connected:
            return Check(state="ok")
        return Check(state="failed", detail="not connected; trying again and again")

    return check


def phase_check(phase: Callable[[], str]) -> CheckFunction:
    """Return a check on where the process is in its life; `phase` is empty when it is up."""

    def check() -> Check:
        where = phase()
        return Check(state="failed", detail=where) if where else Check(state="ok")

    return check


def work_check(name: str, load: Callable[[], tuple[int, int]], limit: int) -> CheckFunction:
    """Return a check on a bounded line of work: `load` gives what runs and what waits."""

    def check() -> Check:
        running, waiting = load()
        detail: dict[str, Any] = {"lag": waiting, "unit": name}
        if waiting >= limit:
            return Check(state="degraded", detail=f"{running} run, the line is full", **detail)
        return Check(state="ok", **detail)

    return check
