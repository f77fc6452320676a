"""How much of each keypair waits in the queues: what the limits of pending sessions go by."""

from typing import Final

from services.scheduler.domain.quota import PendingUse
from shared.contracts.scheduler import SessionEnqueued
from shared.kernel.slots import Slots, add, subtract

NOTHING: Final = PendingUse()


class Pending:
    """Waiting sessions and what they ask for, by access key."""

    def __init__(self) -> None:
        self._uses: dict[str, PendingUse] = {}

    def of(self, access_key: str | None) -> PendingUse:
        """Return what waits under a keypair."""
        return NOTHING if access_key is None else self._uses.get(access_key, NOTHING)

    def enter(self, event: SessionEnqueued, slots: Slots) -> None:
        """Count a session that has begun to wait for `slots`."""
        if event.access_key is not None:
            use = self.of(event.access_key)
            self._uses[event.access_key] = PendingUse(use.sessions + 1, add(use.slots, slots))

    def leave(self, event: SessionEnqueued, slots: Slots) -> None:
        """Count out a session that waits no more."""
        if event.access_key is None:
            return
        use = self._uses.pop(event.access_key)
        if use.sessions > 1:
            left = subtract(use.slots, slots)
            rest = {name: amount for name, amount in left.items() if amount}
            self._uses[event.access_key] = PendingUse(use.sessions - 1, rest)

    def state(self) -> dict[str, tuple[int, Slots]]:
        """Return all counts, as plain comparable values."""
        return {key: (use.sessions, dict(use.slots)) for key, use in self._uses.items()}
