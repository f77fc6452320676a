"""How much of each keypair waits in the queues: what the limits of pending sessions go by."""

from typing import Final

from services.scheduler.domain.quota import PendingUse
from shared.contracts.scheduler import SessionEnqueued
from shared.kernel.slots import Slots

NOTHING: Final = PendingUse()


class _Use:
    __slots__ = ("sessions", "slots")

    def __init__(self) -> None:
        self.sessions = 0
        self.slots: Slots = {}


class Pending:
    """Waiting sessions and what they ask for, by access key."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def of(self, access_key: str | None) -> PendingUse:
        """Return what waits under a keypair at this moment."""
        use = None if access_key is None else self._uses.get(access_key)
        return NOTHING if use is None else PendingUse(use.sessions, use.slots)

    def enter(self, event: SessionEnqueued, slots: Slots) -> None:
        """Count a session that has begun to wait for `slots`."""
        if event.access_key is None:
            return
        use = self._uses.get(event.access_key)
        if use is None:
            use = self._uses[event.access_key] = _Use()
        use.sessions += 1
        for name, amount in slots.items():
            use.slots[name] = use.slots.get(name, 0) + amount

    def leave(self, event: SessionEnqueued, slots: Slots) -> None:
        """Count out a session that waits no more."""
        if event.access_key is None:
            return
        use = self._uses[event.access_key]
        use.sessions -= 1
        if not use.sessions:
            del self._uses[event.access_key]
            return
        for name, amount in slots.items():
            left = use.slots[name] - amount
            if left:
                use.slots[name] = left
            else:
                del use.slots[name]

    def state(self) -> dict[str, tuple[int, Slots]]:
        """Return all counts, as plain comparable values."""
        return {key: (use.sessions, dict(use.slots)) for key, use in self._uses.items()}
