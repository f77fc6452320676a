"""What would have been: asked of the scheduler at once, and by a task when that takes longer."""

from datetime import datetime
from typing import Any, Final

import msgspec

from services.gateway.documents.what_if import what_if_document
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.problems import Refused
from services.gateway.http.times import parse_moment
from services.gateway.task_table import HeldTask, NewTask, Piece
from shared.contracts.scheduler import (
    AgentSelection,
    QueueReplay,
    ReplayQueue,
    SchedulerType,
    Variation,
)
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection, all_invalid, unavailable

KIND: Final = "resource-groups.what-if"
AT_ONCE_S: Final = 4.0
PIECE_S: Final = 2.0
PERCENT: Final = 100


class AgentsBody(Body, frozen=True, kw_only=True):
    """How many agents there would be: times `scale`, or some to `add`, or to `remove`.

    Those that are added are like those that were there, and come and go as they did; those that
    are removed are the last ones by id.
    """

    scale: float | None = None
    add: int = 0
    remove: int = 0


class WhatIfBody(Body, frozen=True, kw_only=True):
    """A period, `to` now unless given, and what shall be otherwise; what is absent is as it was."""

    since: str = msgspec.field(name="from")
    until: str | None = msgspec.field(name="to", default=None)
    scheduler: SchedulerType | None = None
    retries_to_skip: int | None = None
    agent_selection_strategy: AgentSelection | None = None
    agents: AgentsBody | None = None


def question(group: str, body: WhatIfBody, now: datetime) -> ReplayQueue:
    """Return what to ask the scheduler; raises Refused (422) for times that are none."""
    errors: list[FieldError] = []
    since = _moment("from", body.since, now, errors)
    until = _moment("to", body.until, now, errors)
    if errors:
        raise Refused(all_invalid(tuple(errors)))
    agents = body.agents or AgentsBody()
    return ReplayQueue(
        resource_group=group,
        since=since,
        until=until,
        variation=Variation(
            scheduler=body.scheduler,
            retries_to_skip=body.retries_to_skip,
            agent_selection_strategy=body.agent_selection_strategy,
            add_agents=agents.add,
            remove_agents=agents.remove,
            scale_agents=agents.scale,
        ),
    )


async def ask_at_once(gateway: Gateway, query: ReplayQueue) -> dict[str, Any] | None:
    """Return the comparison if it is soon there; raises Refused."""
    found = await _ask(gateway, query, AT_ONCE_S)
    return None if found.comparison is None else what_if_document(found.comparison)


async def begin(gateway: Gateway, owner: str, query: ReplayQueue, key: CommandKey | None) -> str:
    """Begin to wait for a comparison and return the task's id."""
    content = msgspec.json.encode(query)
    task = NewTask(owner=owner, kind=KIND, total=PERCENT, unit="percent", content=content, key=key)
    return await gateway.tasks.begin(task)


class WhatIfWork:
    """Waits for a comparison, a unit for each percent; see `task_runner.Work`."""

    action = "resource-groups.what-if"

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def piece(self, task: HeldTask, first: int) -> Piece:
        """Tell how far it is; raises Refused, so that it is asked again, when it is no further."""
        query = msgspec.json.decode(task.content, type=ReplayQueue)
        found = await _ask(self._gateway, query, PIECE_S)
        if found.comparison is not None:
            units: list[dict[str, Any]] = [{} for _ in range(task.total - first)]
            units[-1] = what_if_document(found.comparison)
            return Piece(units, [{} for _ in units])
        # the last unit is the comparison itself
        further = min(found.percent, task.total - 1) - first
        if further <= 0:
            raise Refused(unavailable("replay_goes_on", "The replay goes on."))
        return Piece([{} for _ in range(further)], [{} for _ in range(further)])

    async def visible(self, task: HeldTask, done: int) -> None:
        """Nothing is written that would have to be waited for."""


def result(units: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the comparison; nothing before it was there."""
    return units[-1] if units else {}


async def _ask(gateway: Gateway, query: ReplayQueue, wait_s: float) -> QueueReplay:
    found = await gateway.replays.ask(query, wait_s)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found


def _moment(field: str, text: str | None, now: datetime, errors: list[FieldError]) -> datetime:
    moment = now if text is None else parse_moment(text)
    if moment is None:
        message = f"{field} is a time such as 2026-01-31T23:59:59Z (RFC 3339)."
        errors.append(FieldError(field, "not_a_time", message))
        return now
    return moment
