"""From a question about a period to the order for its replay, or why there can be none."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from math import isfinite
from typing import Final

from services.scheduler.agents_past import AgentsPast
from services.scheduler.books import Books
from services.scheduler.domain.group_rules import RETRIES_MAX, only_fifo
from services.scheduler.domain.scopes import Ceiling
from services.scheduler.forecast.fleet import AGENTS_MAX, count_of, served
from services.scheduler.limits_view import LimitsView
from services.scheduler.replay_order import ReplayOrder
from services.scheduler.writer import Writer
from shared.contracts.scheduler import ReplayQueue, SchedulerType
from shared.kernel.clock import Clock
from shared.kernel.rejections import FieldError, Rejection, all_invalid, not_found

PERIOD_MAX: Final = timedelta(days=31)
SCALE_MAX: Final = 100.0
SCOPES_AT_ONCE: Final = 1_000
NAMED: Final = frozenset({"period_too_long"})


class ReplayDesk:
    """Makes orders, from what is known of agents and limits at the moment."""

    def __init__(
        self,
        writer: Writer,
        agents: AgentsPast,
        limits: LimitsView,
        clock: Clock,
        *,
        database_url: str,
        retry_s: float,
    ) -> None:
        self._writer = writer
        self._agents = agents
        self._limits = limits
        self._clock = clock
        self._database_url = database_url
        self._retry_s = retry_s

    async def order(self, query: ReplayQueue) -> ReplayOrder | Rejection:
        """Return what a replay needs, or what is wrong with the question."""

        def scheduler_of(books: Books) -> SchedulerType | None:
            queue = books.queues.get(query.resource_group)
            return None if queue is None else queue.group.scheduler

        scheduler = await self._writer.read(scheduler_of)
        if scheduler is None:
            return not_found("resource_group", query.resource_group[:64])
        errors = (*self._period_errors(query), *_variation_errors(query, scheduler))
        if errors:
            return all_invalid(errors, NAMED)
        then = self._agents.between(query.resource_group, query.since, query.until)
        there = len(served(then.changes, query.resource_group))
        wanted = count_of(query.variation, there)
        if there and not 1 <= wanted <= AGENTS_MAX:
            text = f"Of the {there} agents that there were this makes {wanted}; at least one and "
            text += f"at most {AGENTS_MAX} can be replayed."
            return all_invalid((FieldError("agents", "out_of_range", text),))
        return ReplayOrder(
            database_url=self._database_url,
            group=query.resource_group,
            since=query.since,
            until=query.until,
            variation=query.variation,
            agents=then.changes,
            agents_known_since=then.known_since,
            limits=await self._ceilings(),
            defaults=self._limits.defaults(),
            retry_s=self._retry_s,
        )

    def _period_errors(self, query: ReplayQueue) -> Iterator[FieldError]:
        if query.until > self._clock.now():
            yield FieldError("to", "in_the_future", "Only what has been can be replayed.")
        if query.since >= query.until:
            yield FieldError("from", "not_before", "from must be before to.")
        elif query.until - query.since > PERIOD_MAX:
            text = f"A period of at most {PERIOD_MAX.days} days can be replayed."
            yield FieldError("from", "period_too_long", text)

    async def _ceilings(self) -> dict[str, Ceiling]:
        """Return the limits of all scopes; others have their turn meanwhile."""
        scopes = tuple(self._limits.scopes())
        found: dict[str, Ceiling] = {}
        for at in range(0, len(scopes), SCOPES_AT_ONCE):
            for scope in scopes[at : at + SCOPES_AT_ONCE]:
                found[scope] = self._limits.ceiling(scope)
            await asyncio.sleep(0)
        return found


def _variation_errors(query: ReplayQueue, scheduler: SchedulerType) -> Iterator[FieldError]:
    wanted = query.variation
    retries = wanted.retries_to_skip
    yield from only_fifo(wanted.scheduler or scheduler, retries)
    if retries is not None and not 0 <= retries <= RETRIES_MAX:
        text = f"retries_to_skip must be between 0 and {RETRIES_MAX}."
        yield FieldError("retries_to_skip", "out_of_range", text)
    scale = wanted.scale_agents
    given = (wanted.add_agents != 0, wanted.remove_agents != 0, scale is not None)
    if sum(given) > 1:
        yield FieldError("agents", "one_of", "Say one of scale, add and remove.")
    if wanted.add_agents < 0 or wanted.remove_agents < 0:
        yield FieldError("agents", "out_of_range", "Numbers of agents are at least 0.")
    if scale is not None and not (isfinite(scale) and 0 < scale <= SCALE_MAX):
        text = f"scale must be above 0 and at most {SCALE_MAX:.0f}."
        yield FieldError("agents.scale", "out_of_range", text)
