"""What the labels of an image say about resources: how much a kernel of it needs at least."""

from collections.abc import Mapping
from typing import Final

from shared.kernel.rejections import FieldError
from shared.kernel.slots import Slots, parse_amount, slot_name_error

MINIMUM_PREFIX: Final = "ai.backend.resource.min."
SHARED_MEMORY_LABEL: Final = "ai.backend.resource.preferred.shmem"


def minimum_of(labels: Mapping[str, str]) -> Slots:
    """Return the least amount of each slot that labels name; what can't be read is left out."""
    found: Slots = {}
    for label, text in labels.items():
        slot = label.removeprefix(MINIMUM_PREFIX)
        if slot == label or slot_name_error(slot) is not None:
            continue
        amount = parse_amount(slot, text)
        if not isinstance(amount, FieldError) and amount:
            found[slot] = amount
    return found


def shared_memory_of(labels: Mapping[str, str]) -> int | None:
    """Return how much shared memory, in bytes, an image is best given; None: it does not say."""
    text = labels.get(SHARED_MEMORY_LABEL)
    amount = None if text is None else parse_amount("mem", text)
    return None if isinstance(amount, FieldError) else amount


def label_errors(labels: Mapping[str, str]) -> tuple[FieldError, ...]:
    """Return what is wrong with the labels about resources; others may say anything."""
    errors = []
    for label, text in labels.items():
        slot = label.removeprefix(MINIMUM_PREFIX)
        if slot != label:
            found = slot_name_error(slot) or parse_amount(slot, text)
        elif label == SHARED_MEMORY_LABEL:
            found = parse_amount("mem", text)
        else:
            continue
        if isinstance(found, FieldError):
            errors.append(FieldError(label, found.code, found.message))
    return tuple(errors)
