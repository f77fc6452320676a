"""Health means lag: a process that answers but has fallen behind is not healthy.

    health = Health("users", version)
    health.add("relay", relay.check)                  # returns a Check with its lag; may be async

`/healthz` says that the process answers. `/readyz` says whether every check passes: 200 with status
`ok` or `degraded` (works, but something is stale), else 503 with `failed`. Both name the checks.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

State = Literal["ok", "degraded", "failed"]
CHECK_TIMEOUT_S: Final = 2.0
_ORDER: Final[dict[State, int]] = {"ok": 0, "degraded": 1, "failed": 2}


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of one check; `lag` counts events (or what `unit` says) not yet handled."""

    state: State
    detail: str = ""
    lag: int | None = None
    unit: str = "events"


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one service; `status` is that of the worst."""

    service: str
    version: str
    status: State
    checks: dict[str, Check]

    @property
    def is_ready(self) -> bool:
        """Tell whether the service should be given work."""
        return self.status != "failed"


CheckFunction = Callable[[], Check | Awaitable[Check]]


class Health:
    """The named checks of one process."""

    def __init__(self, service: str, version: str = "") -> None:
        self.service = service
        self.version = version
        self._checks: dict[str, CheckFunction] = {}

    def add(self, name: str, check: CheckFunction) -> None:
        """Add a check, or replace the one of that name."""
        self._checks[name] = check

    async def report(self) -> HealthReport:
        """Run all checks at once, each for at most 2 s; one that raises has failed."""
        names = tuple(self._checks)
        running = (self._run(self._checks[name]) for name in names)
        outcomes = await asyncio.gather(*running, return_exceptions=True)
        answers = [_answer(outcome) for outcome in outcomes]
        states: list[State] = [answer.state for answer in answers]
        return HealthReport(
            service=self.service,
            version=self.version,
            status=max(states, key=_ORDER.__getitem__, default="ok"),
            checks=dict(zip(names, answers, strict=True)),
        )

    async def _run(self, check: CheckFunction) -> Check:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            answer = check()
            return await answer if inspect.isawaitable(answer) else answer


def _answer(outcome: Check | BaseException) -> Check:
    """Turn whatever went wrong with a check into its answer; its type says enough in public."""
    if isinstance(outcome, Check):
        return outcome
    if isinstance(outcome, TimeoutError):
        return Check(state="failed", detail=f"did not answer within {CHECK_TIMEOUT_S:g} s")
    return Check(state="failed", detail=type(outcome).__name__)
