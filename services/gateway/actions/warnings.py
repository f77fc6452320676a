"""What is allowed and yet makes no sense on this cluster: limits and presets beyond what it has."""

from collections.abc import Iterator, Mapping

import msgspec

from services.gateway.reads.capacity import Capacity
from shared.kernel.slots import render_amount


class LimitWarning(msgspec.Struct, kw_only=True):
    """A limit above what the cluster has; amounts as decimal strings, null where none is meant."""

    field: str
    slot: str | None
    limit: str | None
    cluster: str | None
    message: str


def limit_warnings(
    field: str, limits: Mapping[str, int | None], capacity: Capacity
) -> Iterator[LimitWarning]:
    """Yield the slots of which a limit allows more than all agents have together.

    Without any agent nothing is known of the cluster, and nothing is said.
    """
    for slot, limit in sorted(limits.items()):
        has = capacity.total.get(slot, 0)
        if limit is None or limit <= has or not capacity.agents:
            continue
        yield _warning(field, slot, limit, has, "all agents together have")


def preset_warnings(
    field: str, slots: Mapping[str, int], capacity: Capacity
) -> Iterator[LimitWarning]:
    """Yield why no agent alone could ever hold what a preset asks for."""
    if not capacity.agents or capacity.holds(slots):
        return
    short = [slot for slot in sorted(slots) if slots[slot] > capacity.largest.get(slot, 0)]
    for slot in short:
        has = capacity.largest.get(slot, 0)
        yield _warning(field, slot, slots[slot], has, "no agent has more than")
    if not short:
        text = "No single agent has all of this, though each part is there on some agent."
        yield LimitWarning(field=field, slot=None, limit=None, cluster=None, message=text)


def _warning(field: str, slot: str, limit: int, has: int, what: str) -> LimitWarning:
    asked, there = render_amount(slot, limit), render_amount(slot, has)
    text = f"{field}.{slot}: {asked} is beyond the cluster: {what} {there}."
    return LimitWarning(field=field, slot=slot, limit=asked, cluster=there, message=text)
