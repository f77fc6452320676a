"""CSV as of RFC 4180, in UTF-8, that a spreadsheet shows and never runs.

A text that begins like a formula gets an apostrophe before it; a number that is one is as it is.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

UNLIMITED: Final = "unlimited"
BETWEEN: Final = ";"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Absent:
    """Stands for what a document does not hold."""


ABSENT: Final = _Absent()


def text(value: str) -> str:
    """Return a text so that no spreadsheet takes it for a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def plain(value: Any) -> str:
    """Render a text, number, flag or time; null and what is absent are empty."""
    if isinstance(value, str):
        return text(value)
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def limit(value: Any) -> str:
    """Render a limit: null is unlimited, and what is absent is empty."""
    return UNLIMITED if value is None else plain(value)


def joined(value: Any) -> str:
    """Render a list of texts, with `;` between."""
    return text(BETWEEN.join(value)) if value and value is not ABSENT else ""


def amounts(value: Any) -> str:
    """Render a map of slots in one cell, such as `cpu=4 mem=unlimited`."""
    if not value or value is ABSENT:
        return ""
    return text(" ".join(f"{slot}={limit(amount)}" for slot, amount in value.items()))


def structured(value: Any) -> str:
    """Render what has parts as JSON."""
    return "" if value is None or value is ABSENT else msgspec.json.encode(value).decode()


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows of cells as CSV, each ended by CR LF."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()
