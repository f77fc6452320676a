"""What was changed about a request so that it can run: for programs, and in words for people."""

from typing import Literal

import msgspec

AdjustmentCause = Literal["image-minimum", "image-minimum-and-shared-memory"]


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """Each kernel gets more of a slot than it was asked for; amounts as in `Slots`.

    The minimum of the image is the reason, for memory together with the shared memory.
    """

    slot: str
    requested: int
    adjusted_to: int
    why: AdjustmentCause
