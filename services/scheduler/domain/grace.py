"""How long what runs may take to end by itself before it is killed."""

from typing import Final

from shared.kernel.rejections import Rejection, invalid

GRACE_MAX_S: Final = 3600


def grace_problem(grace_s: int) -> Rejection | None:
    """Refuse a grace period that nobody can mean."""
    if 0 <= grace_s <= GRACE_MAX_S:
        return None
    return invalid(
        "grace_s", "out_of_range", f"grace_s must be between 0 and {GRACE_MAX_S} seconds."
    )
