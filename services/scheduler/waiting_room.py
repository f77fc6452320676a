"""Sessions that may not have a place yet: their time is still to come, or others must end first.

They stand in no queue: nothing is tried for them, and they are in nobody's way. What is kept here
follows from the log, but for the time that passes, which the agenda tells.
"""

from collections.abc import Collection, Container, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from services.scheduler.domain.scopes import scopes_of
from services.scheduler.placement.model import Waiting, shape_of
from shared.contracts.scheduler import Reason, SessionEnqueued, Violation
from shared.kernel.clock import render_time

TOLD_MAX: Final = 20


class Held(NamedTuple):
    """A session that may not start. `starts_at` None: its time has come, or it named none."""

    group: str
    waiting: Waiting
    starts_at: datetime | None
    waits_for: set[str]

    @property
    def may_go(self) -> bool:
        """Tell whether nothing holds it back any more."""
        return self.starts_at is None and not self.waits_for

    @property
    def begins_at(self) -> datetime | None:
        """Return when it may start, if nothing else holds it back but that time."""
        return None if self.waits_for else self.starts_at

    def reason(self) -> Reason:
        """Return why it may not start: dependencies come first, they may take longer."""
        if self.waits_for:
            return _for_others(sorted(self.waits_for))
        moment = render_time(self.starts_at) if self.starts_at else ""
        return Reason(
            code="not-due-yet",
            message=f"It asked not to start before {moment}.",
            violations=(Violation(scope="session", slot="starts_at", requested=moment),),
        )


def held_of(event: SessionEnqueued, turn: int, at: datetime | None, live: Container[str]) -> Held:
    """Return a session that is enqueued at a moment, with all that holds it back then.

    `live` are the sessions that have not ended; others were known to have ended well.
    """
    kernel_ids = tuple(kernel.kernel_id for kernel in event.kernels)
    shape = shape_of(
        event.kernels[0].requested,
        event.image,
        event.architecture,
        len(kernel_ids),
        event.cluster_mode,
        event.designated_agents,
    )
    waiting = Waiting(
        event.session_id,
        event.priority,
        turn,
        shape,
        kernel_ids,
        user=event.user_id,
        scopes=scopes_of(event),
    )
    is_early = event.starts_at is not None and at is not None and event.starts_at > at
    waits_for = {other for other in event.depends_on if other in live}
    return Held(event.resource_group, waiting, event.starts_at if is_early else None, waits_for)


class WaitingRoom:
    """Who is held back, by group and in the order of arrival, and for which sessions."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._of_group: dict[str, dict[str, Held]] = {}
        self._dependants: dict[str, dict[str, None]] = {}

    def enter(self, held: Held) -> None:
        """Hold a session back."""
        for other in held.waits_for:
            self._dependants.setdefault(other, {})[held.waiting.session_id] = None
        self._put(held)

    def leave(self, session_id: str) -> Held | None:
        """Let a session go; None if it is not held."""
        held = self._held.pop(session_id, None)
        if held is None:
            return None
        self._of_group[held.group].pop(session_id)
        for other in held.waits_for:
            dependants = self._dependants.get(other, {})
            dependants.pop(session_id, None)
            if not dependants:
                self._dependants.pop(other, None)
        return held

    def begin(self, session_id: str) -> Held | None:
        """Note that a session's time has come; return it if nothing holds it any more."""
        held = self._held.get(session_id)
        if held is None:
            return None
        self._put(held._replace(starts_at=None))
        return None if held.waits_for else self.leave(session_id)

    def succeeded(self, other: str) -> Iterator[Held]:
        """Note that a session has ended well; yield those that nothing holds any more."""
        for session_id in self._dependants.pop(other, {}):
            held = self._held[session_id]
            held.waits_for.discard(other)
            if held.may_go:
                self.leave(session_id)
                yield held

    def failed(self, other: str) -> tuple[str, ...]:
        """Note that a session has not ended well; return those that can never start now."""
        return tuple(self._dependants.get(other, ()))

    def of(self, group: str) -> Collection[Held]:
        """Return who is held back in a group."""
        return self._of_group.get(group, {}).values()

    def state(self) -> dict[str, list[str]]:
        """Return who waits for whom, as plain comparable values."""
        return {key: sorted(held.waits_for) for key, held in self._held.items()}

    def _put(self, held: Held) -> None:
        session_id = held.waiting.session_id
        self._held[session_id] = held
        self._of_group.setdefault(held.group, {})[session_id] = held


def _for_others(others: list[str]) -> Reason:
    told = ", ".join(others[:TOLD_MAX]) + (" and others" if len(others) > TOLD_MAX else "")
    return Reason(
        code="waits-for-dependencies",
        message=f"It starts when {len(others)} of its dependencies have ended well: {told}.",
        violations=tuple(
            Violation(scope=f"session:{other}", slot="result", requested="success")
            for other in others[:TOLD_MAX]
        ),
    )
