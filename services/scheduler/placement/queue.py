"""One group's waiting sessions: what queues of every order have in common.

Sessions of one shape, one user and the same limits form a lane. A lane that is over a limit steps
aside as a whole until its limit lets it pass; a shape that fits nowhere is parked until something
is freed that could hold a part of it. So neither costs a pass anything, however many wait.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol, TypeAlias

from services.scheduler.placement.lanes import Entry, Lane, OrderKey
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Placed, Shape, Waiting
from services.scheduler.placement.parked import Parked

__all__ = ["Entry", "Pass", "Site", "WaitingQueue"]

Capacity: TypeAlias = tuple[tuple[str, int], ...]


class Pass(NamedTuple):
    """What a pass did. `finished` is false when it stopped at its limit and must go on."""

    placed: tuple[Placed, ...]
    finished: bool


class Site(Protocol):
    """Where sessions get their places."""

    def place(self, entry: Entry) -> Placed | None:
        """Reserve for a session, and charge it to its scopes; None when it fits nowhere."""

    def offers(self, shape: Shape) -> bool:
        """Tell whether anybody has what a shape asks for, free or not."""

    def capacity(self) -> Capacity:
        """Return what there is of each slot in all."""


class WaitingQueue(ABC):
    """The waiting sessions of a group. `due`: something has changed that a pass must look at."""

    def __init__(self, group: str, ledgers: Ledgers, site: Site) -> None:
        self.entries: dict[str, Entry] = {}
        self.parked = Parked()
        self.due = False
        self._group = group
        self._ledgers = ledgers
        self._site = site
        self._lanes: dict[tuple[Shape, str, tuple[str, ...]], Lane] = {}
        self._of_shape: dict[Shape, int] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self.entries)

    def add(self, session: Waiting, tries: int = 0) -> Entry:
        """Put a session in its place."""
        shape = session.shape
        lane_key = (shape, session.user, session.scopes)
        lane = self._lanes.get(lane_key)
        if lane is None:
            scopes = (*session.scopes, share_scope(self._group, session.user))
            lane = Lane(lane_key, self._ledgers.bill(scopes, shape.total()), self)
            self._lanes[lane_key] = lane
        entry = Entry(session, self.key_of(session), lane)
        entry.tries = tries
        self.entries[session.session_id] = entry
        self._of_shape[shape] = self._of_shape.get(shape, 0) + 1
        self._arrived(entry)
        return entry

    def discard(self, session_id: str) -> Entry | None:
        """Take a session out; None if it isn't waiting."""
        entry = self.entries.pop(session_id, None)
        if entry is None:
            return None
        self._left(entry)
        lane = entry.lane
        if not lane:
            lane.let_go()
            del self._lanes[lane.key]
        shape = lane.shape
        left = self._of_shape[shape] - 1
        if left:
            self._of_shape[shape] = left
        else:
            del self._of_shape[shape]
            self.parked.discard(shape)
        return entry

    @abstractmethod
    def key_of(self, session: Waiting) -> OrderKey:
        """Return where a session stands among those of its user."""

    @abstractmethod
    def run(self, limit: int) -> Pass:
        """Place up to `limit` sessions."""

    @abstractmethod
    def stand_down(self) -> None:
        """Note that there is nothing to be tried at all."""

    @abstractmethod
    def wake(self, shapes: Iterable[Shape]) -> None:
        """Let shapes be tried again that are parked no more."""

    @abstractmethod
    def look_again(self) -> None:
        """Note that the agents are others, and with them what anybody offers."""

    @abstractmethod
    def page(self, offset: int, limit: int) -> list[Entry]:
        """Return entries in the order of their turns, from the one at `offset` (from 0)."""

    @abstractmethod
    def __iter__(self) -> Iterator[Entry]:
        """Walk all entries in order."""

    @abstractmethod
    def tries(self, entry: Entry) -> int:
        """Return how often a session was tried in vain."""

    def waits_for_own(self, entry: Entry) -> bool:  # noqa: ARG002  # where users have no lines
        """Tell whether a session stands behind one of its own user that lacks resources."""
        return False

    @abstractmethod
    def lifted(self, lane: Lane) -> None:
        """Let a lane stand in line again."""

    @abstractmethod
    def reached(self, lane: Lane) -> None:
        """Look again at a lane that waits for room: now a limit is in its way."""

    @abstractmethod
    def _arrived(self, entry: Entry) -> None:
        """Put a new entry into its lane and, if that is so, note that a pass is due."""

    @abstractmethod
    def _left(self, entry: Entry) -> None:
        """Take an entry out of its lane."""


def share_scope(group: str, user: str) -> str:
    """Return the ledger of what a user holds in a group."""
    return f"share:{group}:{user}"
