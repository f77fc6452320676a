"""The rules that the limits of every policy share."""

from collections.abc import Iterator, Mapping

from shared.kernel.rejections import FieldError

NAME_MAX = 64


def name_errors(name: str) -> Iterator[FieldError]:
    """Yield what is wrong with the name of a policy or a preset."""
    if not 0 < len(name) <= NAME_MAX:
        yield FieldError("name", "length", f"A name has 1 to {NAME_MAX} characters.")
    elif not name.isprintable() or name != name.strip() or "/" in name:
        text = "A name holds no control characters, no '/', and no spaces at its ends."
        yield FieldError("name", "characters", text)


def amount_errors(amounts: Mapping[str, int | None]) -> Iterator[FieldError]:
    """Yield the fields that are below zero; None is unlimited."""
    for field, amount in amounts.items():
        if amount is not None and amount < 0:
            text = f"{field}: give 0 or more, or null for unlimited."
            yield FieldError(field, "negative", text)


def limit_errors(field: str, limits: Mapping[str, int | None]) -> Iterator[FieldError]:
    """Yield the slots of a limit map that are below zero."""
    yield from amount_errors({f"{field}.{slot}": amount for slot, amount in limits.items()})
