"""Who has come lately, and how long after the one before: what is likely to come next."""

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from services.scheduler.placement.model import Waiting

KEPT_MAX: Final = 256
STRIDE: Final = 97  # shares no factor with most counts, so each run ahead begins elsewhere
LATER: Final = 1 << 63  # behind all that wait or are asked about


class Arrival(NamedTuple):
    """A session that came `gap_s` after the one before it."""

    gap_s: float
    session: Waiting


class Arrivals:
    """The latest arrivals of a resource group."""

    def __init__(self) -> None:
        self._latest: deque[Arrival] = deque(maxlen=KEPT_MAX)
        self._last_s: float | None = None

    def came(self, session: Waiting, at_s: float) -> None:
        """Note that a session has come at a moment, in seconds on whatever clock."""
        if self._last_s is not None:
            self._latest.append(Arrival(max(at_s - self._last_s, 0.0), session))
        self._last_s = at_s

    def copied(self) -> "Arrivals":
        """Return an equal one."""
        other = Arrivals()
        other._latest = self._latest.copy()
        other._last_s = self._last_s
        return other

    def kinds(self) -> set[tuple[str, str]]:
        """Return the users and images of those who came."""
        return {(one.session.user, one.session.shape.image) for one in self._latest}

    def ahead(self, run: int) -> Iterator[tuple[float, Waiting]]:
        """Yield without end who might come when, from now on: as of late, in another order."""
        latest = tuple(self._latest)
        if not latest:
            return
        now, turn = 0.0, 0
        count = len(latest)
        while True:
            gap_s = latest[(run * STRIDE + turn) % count].gap_s
            # gaps and sessions go round apart, so that no run ahead is the past once more
            session = latest[(run * STRIDE + turn * 3 + turn // count) % count].session
            now += gap_s
            turn += 1
            name = f"{session.session_id}~{turn}"
            yield (
                now,
                session._replace(
                    session_id=name,
                    turn=LATER + turn,
                    kernel_ids=tuple(f"{name}.{number}" for number in range(session.shape.kernels)),
                ),
            )
