"""What was changed about a request, for programs and in words."""

from collections.abc import Iterable

import msgspec

from shared.contracts.scheduler import Adjustment, AdjustmentCause
from shared.kernel.slots import render_amount


class AdjustmentDocument(msgspec.Struct, kw_only=True):
    """Each kernel gets `adjusted_to` of a slot instead of `requested`; `text` says so in words."""

    slot: str
    requested: str
    adjusted_to: str
    why: AdjustmentCause
    text: str


def adjustment_documents(found: Iterable[Adjustment]) -> list[AdjustmentDocument]:
    """Return what the API tells of adjustments."""
    return [_document(one) for one in found]


def _document(one: Adjustment) -> AdjustmentDocument:
    requested = render_amount(one.slot, one.requested)
    adjusted_to = render_amount(one.slot, one.adjusted_to)
    extra = "" if one.why == "image-minimum" else ", with the shared memory"
    return AdjustmentDocument(
        slot=one.slot,
        requested=requested,
        adjusted_to=adjusted_to,
        why=one.why,
        text=f"{one.slot} was raised from {requested} to {adjusted_to}, "
        f"which is the least that the image needs{extra}.",
    )
