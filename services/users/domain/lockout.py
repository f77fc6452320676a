"""Too many wrong passwords in a row lock an address for a while; pure, the time is given.

It counts for unknown addresses too, so a lock tells nothing about who exists.
"""

import msgspec

FAILURES_MAX = 10
LOCK_S = 1200


class Attempts(msgspec.Struct, frozen=True):
    """Wrong passwords in a row for one address; `last_s` is when the newest was given."""

    failures: int = 0
    last_s: float = 0.0


def locked_for_s(attempts: Attempts, now_s: float) -> float:
    """Return for how many seconds more the address is locked; 0 when it is not."""
    if attempts.failures < FAILURES_MAX:
        return 0.0
    return max(0.0, attempts.last_s + LOCK_S - now_s)


def failed(attempts: Attempts, now_s: float) -> Attempts:
    """Return the count after one more wrong password; what is older than a lock is forgotten."""
    if now_s - attempts.last_s >= LOCK_S:
        return Attempts(1, now_s)
    return Attempts(attempts.failures + 1, now_s)
