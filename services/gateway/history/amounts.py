"""Amounts inside events, which are whole numbers there, as the API shows them: decimal strings."""

from collections.abc import Mapping
from typing import Any, Final

from shared.kernel.slots import render_amount, render_limits

# every field of an event that holds amounts by slot, at whatever depth; a test finds them all
SLOT_FIELDS: Final = frozenset(
    {
        "available_slots",
        "max_pending_session_resource_slots",
        "minimum",
        "requested",
        "resource_slots",
        "total_resource_slots",
    }
)
_DEVICES: Final = "devices"
_ADJUSTED: Final = ("requested", "adjusted_to")


def render(name: str, value: Any) -> Any:
    """Return the value of a field with every amount in it rendered."""
    if isinstance(value, Mapping):
        if name in SLOT_FIELDS:
            return render_limits(value)
        if name == _DEVICES:
            return {slot: _each(slot, amounts) for slot, amounts in value.items()}
        if {"slot", "amount"} <= value.keys():
            return {**value, "amount": render_amount(value["slot"], value["amount"])}
        if {"slot", "adjusted_to"} <= value.keys():
            amounts = {name: render_amount(value["slot"], value[name]) for name in _ADJUSTED}
            return {**value, **amounts}
        return {key: render(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [render("", item) for item in value]
    return value


def _each(slot: str, amounts: Mapping[str, int]) -> dict[str, str]:
    return {device: render_amount(slot, amount) for device, amount in amounts.items()}
