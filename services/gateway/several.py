"""Several texts in one column of a table, each of which a row is found by."""

from collections.abc import Iterable
from typing import Final

BETWEEN: Final = "\x1f"


def joined(texts: Iterable[str]) -> str:
    """Return what the column holds."""
    return BETWEEN.join(texts)


def among(column: str) -> str:
    """Return the texts that a column holds, as they are indexed."""
    return f"string_to_array({column}, chr({ord(BETWEEN)}))"


def holds_any(column: str, wanted: str) -> str:
    """Return the condition that a column holds any of `wanted`, the placeholder of an array."""
    return f"({column} <> '' and {among(column)} && {wanted}::text[])"
