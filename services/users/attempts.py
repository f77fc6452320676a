"""Remembers wrong passwords by address, in memory and bounded: the oldest are forgotten first."""

from collections import OrderedDict
from typing import Final

from services.users.domain.lockout import Attempts, failed, locked_for_s
from shared.kernel.clock import Clock

CAPACITY: Final = 100_000


class FailedLogins:
    """Counts wrong passwords under the keyed hash of the address; a restart forgets them."""

    def __init__(self, clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._attempts: OrderedDict[str, Attempts] = OrderedDict()

    def locked_for_s(self, fingerprint: str) -> float:
        """Return for how many seconds more an address is locked; 0 when it is not."""
        found = self._attempts.get(fingerprint)
        return 0.0 if found is None else locked_for_s(found, self._clock.monotonic())

    def add(self, fingerprint: str) -> None:
        """Count a wrong password."""
        before = self._attempts.pop(fingerprint, Attempts())
        self._attempts[fingerprint] = failed(before, self._clock.monotonic())
        while len(self._attempts) > self._capacity:
            self._attempts.popitem(last=False)

    def clear(self, fingerprint: str) -> None:
        """Forget an address after a right password."""
        self._attempts.pop(fingerprint, None)
