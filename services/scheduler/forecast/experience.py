"""What a resource group has taught: how long sessions run there, and who comes when."""

from collections.abc import Iterable

from services.scheduler.forecast.arrivals import Arrivals
from services.scheduler.forecast.run_times import RunTimes
from services.scheduler.forecast.snapshot import Snapshot
from services.scheduler.placement.model import Waiting


class Experience:
    """The run times and the arrivals of one resource group, folded from the log."""

    def __init__(self) -> None:
        self.run_times = RunTimes()
        self.arrivals = Arrivals()

    def copied(self, snapshot: Snapshot, newcomers: Iterable[Waiting]) -> "Experience":
        """Return what matters for running ahead from a snapshot, to be read elsewhere."""
        kinds = self.arrivals.kinds()
        kinds.update((one.session.user, one.session.shape.image) for one in snapshot.waiting)
        kinds.update((one.user, one.image) for one in snapshot.running)
        kinds.update((one.user, one.shape.image) for one in newcomers)
        other = Experience()
        other.run_times = self.run_times.copied(kinds)
        other.arrivals = self.arrivals.copied()
        return other
