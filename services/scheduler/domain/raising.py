"""Requests below what their image needs: raised slot by slot, and what was changed is said."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from shared.contracts.scheduler import Adjustment, EnqueueSession
from shared.kernel.rejections import FieldError, Rejection
from shared.kernel.slots import Slots, render_amount, say_amount

CODE: Final = "below_image_minimum"
_COUNTERPARTS: Final = {"device": "shares", "shares": "device"}


class ImageNeeds(NamedTuple):
    """What each kernel of an image gets at least; `shared_memory`, in bytes, is what suits it."""

    minimum: Slots = {}
    shared_memory: int | None = None


class Raised(NamedTuple):
    """A request as it can run, and what was changed about it."""

    command: EnqueueSession
    adjustments: tuple[Adjustment, ...] = ()


def raised(command: EnqueueSession, needs: ImageNeeds, offered: frozenset[str]) -> Raised:
    """Return a request in which no slot is below the minimum of the image.

    `offered` are the slots that the group's agents have: what only the other mode of the same
    accelerators offers is not asked for. Shared memory comes on top of the minimum of memory.
    """
    shared = command.shared_memory
    shared = needs.shared_memory if shared is None else shared
    resources = dict(command.resources)
    adjustments = []
    for slot, least in sorted(needs.minimum.items()):
        if _is_other_mode(slot, command.resources, offered):
            continue
        extra = max(shared or 0, 0) if slot == "mem" else 0
        asked = resources.get(slot, 0)
        if 0 <= asked < least + extra:
            resources[slot] = least + extra
            adjustments.append(
                Adjustment(
                    slot=slot,
                    requested=asked,
                    adjusted_to=least + extra,
                    why="image-minimum-and-shared-memory" if extra else "image-minimum",
                )
            )
    if command.shared_memory is None and shared is not None and shared >= resources.get("mem", 0):
        shared = None  # what suits the image is no part of so little memory
    wish = msgspec.structs.replace(command, resources=resources, shared_memory=shared)
    return Raised(wish, tuple(adjustments))


def shared_memory_errors(command: EnqueueSession) -> Iterator[FieldError]:
    """Yield what is wrong with the shared memory of a request: it is a part of the memory."""
    shared, memory = command.shared_memory, command.resources.get("mem", 0)
    if shared is None:
        return
    if shared < 0:
        yield FieldError("shared_memory", "negative", "shared_memory can't be negative.")
    elif shared and shared >= memory:
        message = (
            f"shared_memory ({say_amount('mem', shared)}) is a part of mem "
            f"({say_amount('mem', memory)}) and must be less: "
            "ask for more mem, or for less shared_memory."
        )
        yield FieldError("shared_memory", "not_below_memory", message)


def below_minimum(image: str, adjustments: tuple[Adjustment, ...]) -> Rejection:
    """Return the refusal of a request that shall not be raised."""
    errors = tuple(
        FieldError(
            f"resources.{one.slot}",
            CODE,
            f"{one.slot}: {say_amount(one.slot, one.requested)} asked, "
            f"the image '{image[:128]}' needs at least {say_amount(one.slot, one.adjusted_to)}"
            + (", shared memory included." if one.why != "image-minimum" else "."),
        )
        for one in adjustments
    )
    return Rejection(
        kind="invalid",
        code=CODE,
        message=" ".join(error.message for error in errors)
        + " Ask for that much, or leave strict out to have the request raised.",
        errors=errors,
        details={
            "adjustments": [
                {
                    "slot": one.slot,
                    "requested": _amount(one, one.requested),
                    "minimum": _amount(one, one.adjusted_to),
                }
                for one in adjustments
            ]
        },
    )


def _amount(one: Adjustment, amount: int) -> str:
    return render_amount(one.slot, amount)


def _is_other_mode(slot: str, asked: Slots, offered: frozenset[str]) -> bool:
    """Tell whether accelerators are asked for or offered in the other mode than a minimum says."""
    maker, _, kind = slot.rpartition(".")
    other = f"{maker}.{_COUNTERPARTS[kind]}" if kind in _COUNTERPARTS else ""
    if not other:
        return False
    return asked.get(other, 0) > 0 or (slot not in offered and other in offered)
