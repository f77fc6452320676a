"""Too many wrong guesses in a row lock an address for a while; pure, the time is given.

A guess is a password or a one-time password. It counts for unknown addresses too, so a lock tells
nothing about who exists.
"""

from datetime import UTC, datetime, timedelta

import msgspec

FAILURES_MAX = 10
LOCK_S = 1200
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = timedelta(seconds=LOCK_S)


class Attempts(msgspec.Struct, frozen=True):
    """Wrong guesses in a row for one address; `last_at` is when the newest was made."""

    failures: int = 0
    last_at: datetime = LONG_AGO

    @property
    def locks(self) -> bool:
        """Whether the last of these guesses is one that locks the address."""
        return self.failures >= FAILURES_MAX

    @property
    def until(self) -> datetime:
        """When the last guess is forgotten, and with it the lock."""
        return self.last_at + _LOCK


NONE = Attempts()


def locked_for_s(attempts: Attempts, now: datetime) -> float:
    """Return for how many seconds more the address is locked; 0 when it is not."""
    if not attempts.locks:
        return 0.0
    return max(0.0, (attempts.until - now).total_seconds())


def failed(attempts: Attempts, now: datetime) -> Attempts:
    """Return the count after one more wrong guess; what is older than a lock is forgotten."""
    if now >= attempts.until:
        return Attempts(1, now)
    return Attempts(attempts.failures + 1, now)
