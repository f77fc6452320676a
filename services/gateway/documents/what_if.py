"""A period of a group's queue as it was and as it would have been, as the API tells it."""

from datetime import datetime
from typing import Any

import msgspec

from shared.contracts.scheduler import (
    AgentSelection,
    Comparison,
    ReplayFigures,
    ReplayNote,
    SchedulerType,
)


class WhatIfChanges(msgspec.Struct, kw_only=True):
    """What was taken to be otherwise; null is as it was."""

    scheduler: SchedulerType | None
    retries_to_skip: int | None
    agent_selection_strategy: AgentSelection | None


class AgentCounts(msgspec.Struct, kw_only=True):
    """How many agents served the group at some time of the period, and would have."""

    recorded: int
    what_if: int


class CarriedOver(msgspec.Struct, kw_only=True):
    """The sessions that were there when the period began: they take part and are not counted."""

    running: int
    waiting: int


class WhatIfDocument(msgspec.Struct, kw_only=True):
    """As recorded, replayed without a change, and as it would have been; `notes`: how exactly.

    Where `replayed` comes near `recorded`, `what_if` can be trusted.
    """

    resource_group: str
    since: datetime = msgspec.field(name="from")
    until: datetime = msgspec.field(name="to")
    changes: WhatIfChanges
    agents: AgentCounts
    carried_over: CarriedOver
    recorded: ReplayFigures
    replayed: ReplayFigures
    what_if: ReplayFigures
    notes: list[ReplayNote]


def what_if_document(found: Comparison) -> dict[str, Any]:
    """Return what the API tells of a comparison."""
    wanted = found.variation
    document = WhatIfDocument(
        resource_group=found.resource_group,
        since=found.since,
        until=found.until,
        changes=WhatIfChanges(
            scheduler=wanted.scheduler,
            retries_to_skip=wanted.retries_to_skip,
            agent_selection_strategy=wanted.agent_selection_strategy,
        ),
        agents=AgentCounts(recorded=found.agents, what_if=found.agents_what_if),
        carried_over=CarriedOver(running=found.running_before, waiting=found.waiting_before),
        recorded=found.recorded,
        replayed=found.replayed,
        what_if=found.what_if,
        notes=list(found.notes),
    )
    rendered: dict[str, Any] = msgspec.to_builtins(document)
    return rendered
