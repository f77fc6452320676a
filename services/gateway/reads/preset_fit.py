"""Whether what a preset asks for could start now, and if not, why. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from services.gateway.documents.available import GroupRoom
from services.gateway.documents.limits import LimitDocument, ScopeLimits
from services.gateway.reads.agent_room import AgentRoom, Rooms
from services.gateway.reads.device_fit import gives
from services.gateway.reads.limit_scopes import CONCURRENT, PENDING, PENDING_SLOTS, TOTAL
from shared.contracts.scheduler import Reason, Violation
from shared.kernel.slots import Slots, amount_of, fits, render_amount, render_slots

SESSIONS: Final = "sessions"
NO_PROJECT: Final = Reason(
    code="no-project", message="You are a member of no project in which a session could run."
)


class Place(NamedTuple):
    """A resource group in which a session could run, and its agents.

    `fragments`: a share that no single device can give may be spread over several.
    """

    name: str
    is_active: bool
    rooms: Rooms = Rooms()
    fragments: bool = True

    def holds(self, slots: Slots) -> bool:
        """Tell whether one agent that takes new sessions has so much left of each slot."""
        return self.is_active and fits(slots, self.rooms.largest) and any(self._having(slots))

    def gives(self, slots: Slots) -> bool:
        """Tell whether one of them could also give it from its devices."""
        return self.holds(slots) and any(
            gives(slots, agent.devices(), fragments=self.fragments) for agent in self._having(slots)
        )

    def _having(self, slots: Slots) -> Iterator[AgentRoom]:
        return (agent for agent in self.rooms.open if fits(slots, agent.free))


def over_limit(
    slots: Slots, scopes: Iterable[ScopeLimits], hidden: frozenset[str]
) -> Reason | None:
    """Return the limits that one more session would exceed; no numbers of `hidden` scopes."""
    found = [
        (scope.scope, violation)
        for scope in scopes
        for violation in _violations(scope, slots, withhold=scope.scope in hidden)
    ]
    if not found:
        return None
    parts = [
        f"The {scope}'s limit of {one.slot}: used {one.used}, requested {one.requested},"
        f" limit {one.limit}."
        if one.limit is not None
        else f"The {scope}'s limit of {one.slot} is in the way."
        for scope, one in found
    ]
    return Reason(
        code="over-limit", message=" ".join(parts), violations=tuple(one for _, one in found)
    )


def no_room(slots: Slots, places: Sequence[Place]) -> Reason | None:
    """Return why no agent of any of these groups could hold a request alone, if none could."""
    if any(place.gives(slots) for place in places):
        return None
    names = ", ".join(place.name for place in places)
    active = [place for place in places if place.is_active]
    if not any(place.rooms.open for place in active):
        return _nobody(active, names)
    if any(place.holds(slots) for place in active):
        text = f"Enough is free on agents of {names}, but not on devices that fit together."
        return Reason(code="devices-fragmented", message=text)
    violations = tuple(_shortages(slots, active))
    foreign = sorted(slots.keys() - {slot for place in active for slot in place.rooms.offered})
    if foreign:
        text = f"No agent of {names} has any {' or '.join(foreign)}."
        return Reason(code="slot-not-offered", message=text, violations=violations)
    told = " ".join(
        f"{one.slot}: {one.requested} asked, the most that is free on one agent is {one.limit}."
        for one in violations
    )
    if not told:
        told = "Each part of it is free on some agent, but not all of it on one."
    text = f"No agent of {names} has enough free. {told}"
    return Reason(code="not-enough-resources", message=text, violations=violations)


def group_room(place: Place) -> GroupRoom:
    """Return what a group has left in all, and at most on one agent."""
    rooms = place.rooms if place.is_active else Rooms()
    return GroupRoom(
        name=place.name,
        agents=len(rooms.open),
        used=render_slots(rooms.used),
        remaining=render_slots(rooms.remaining),
        largest=render_slots(rooms.largest),
    )


def remaining(scopes: Iterable[ScopeLimits]) -> Mapping[str, str | None]:
    """Return for each slot the least that any of these scopes leaves; null where none limits it."""
    least: dict[str, int | None] = {}
    for scope in scopes:
        for limit in scope.limits:
            if limit.field != TOTAL or limit.slot is None:
                continue
            left, known = _left(limit), least.get(limit.slot)
            least[limit.slot] = (
                left if known is None else min(known, known if left is None else left)
            )
    return {
        slot: None if left is None else render_amount(slot, left)
        for slot, left in sorted(least.items())
    }


def _violations(scope: ScopeLimits, slots: Slots, *, withhold: bool) -> Iterator[Violation]:
    for limit in scope.limits:
        left = _left(limit)
        if left is None:
            continue
        asked, name = _asked(limit, slots)
        if asked <= left:
            continue
        violation = Violation(scope=f"{scope.scope}:{scope.id}", slot=name)
        yield violation if withhold else _numbered(violation, limit, asked, asked - left)


def _numbered(violation: Violation, limit: LimitDocument, asked: int, short: int) -> Violation:
    slot = limit.slot
    return msgspec.structs.replace(
        violation,
        used=str(limit.used),
        requested=str(asked) if slot is None else render_amount(slot, asked),
        limit=str(limit.limit),
        short_by=str(short) if slot is None else render_amount(slot, short),
    )


def _asked(limit: LimitDocument, slots: Slots) -> tuple[int, str]:
    """Return how much of a limit one more session takes, and what that is called."""
    if limit.field in {TOTAL, PENDING_SLOTS}:
        return slots.get(limit.slot or "", 0), limit.slot or ""
    if limit.field == CONCURRENT:
        return 1, SESSIONS
    return (1, PENDING) if limit.field == PENDING else (0, limit.field)


def _left(limit: LimitDocument) -> int | None:
    if limit.remaining is None:
        return None
    if limit.slot is None:
        return int(limit.remaining)
    return amount_of(limit.slot, str(limit.remaining))


def _shortages(slots: Slots, places: Sequence[Place]) -> Iterator[Violation]:
    scope = f"resource-group:{places[0].name}" if len(places) == 1 else "cluster"
    agents = sum(len(place.rooms.open) for place in places)
    for slot in sorted(slots):
        most = max(place.rooms.largest.get(slot, 0) for place in places)
        if slots[slot] > most:
            yield Violation(
                scope=scope,
                slot=slot,
                requested=render_amount(slot, slots[slot]),
                limit=render_amount(slot, most),
                short_by=render_amount(slot, slots[slot] - most),
                agents=agents,
            )


def _nobody(active: Sequence[Place], names: str) -> Reason:
    agents = [agent for place in active for agent in place.rooms.agents]
    if not active:
        text = f"The resource group {names} is not active." if names else "No group is open to you."
        return Reason(code="group-inactive", message=text)
    if not agents:
        return Reason(code="no-agents", message=f"The resource group {names} has no agents.")
    if not any(agent.status == "ALIVE" for agent in agents):
        text = f"None of the {len(agents)} agents of {names} is alive."
        return Reason(code="no-agent-alive", message=text)
    text = f"No agent of {names} takes new sessions at the moment."
    return Reason(code="no-agent-schedulable", message=text)
