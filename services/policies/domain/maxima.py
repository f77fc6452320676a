"""The most that a policy may give: the settings `policy_maxima.*`, which administrators change.

They hold for what is given and different; a policy from before a maximum was lowered stays as it
is. Null, unlimited, is always allowed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from shared.kernel.rejections import FieldError
from shared.kernel.slots import MILLI, is_bytes, render_amount

PREFIX: Final = "policy_maxima."
SLOT_MAP: Final = "total_resource_slots"

# By the end of the setting's key; as in the API: counts are not in thousandths. None: no maximum.
Maxima: TypeAlias = Mapping[str, int | None]


def maximum_errors(
    given: Mapping[str, Any], before: Mapping[str, int | None], maxima: Maxima
) -> Iterator[FieldError]:
    """Yield what is above a maximum, in what is given; `before` are the slots as they were."""
    for name, most in maxima.items():
        amount = given.get(name)
        if most is not None and amount is not None and amount > most:
            yield _too_much(name, name, str(amount), str(most))
    for slot, amount in given.get(SLOT_MAP, {}).items():
        most = maxima.get(slot)
        if most is None or amount is None or amount == before.get(slot):
            continue
        if amount > (most if is_bytes(slot) else most * MILLI):
            yield _too_much(f"{SLOT_MAP}.{slot}", slot, render_amount(slot, amount), str(most))


def _too_much(field: str, name: str, amount: str, most: str) -> FieldError:
    text = (
        f"{field}: {amount} is more than {most}, the setting {PREFIX}{name}; give less, or null "
        "for unlimited."
    )
    return FieldError(field, "above_maximum", text)
