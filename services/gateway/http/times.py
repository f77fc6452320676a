"""Times as a query writes them: RFC 3339, and the parameters that bound a time on either side."""

import re
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

_RFC_3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})"
)
_MICROSECONDS: Final = re.compile(r"(\.\d{6})\d+")
_FIELD: Final = "_at"


class Bound(NamedTuple):
    """One side of a span: the field of the time, and how it compares with the bound."""

    field: str
    sign: Literal[">=", "<"]


def parse_moment(text: str) -> datetime | None:
    """Return the moment that an RFC 3339 text means, in UTC; None when it is not one."""
    if not text.isascii() or not _RFC_3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(_MICROSECONDS.sub(r"\1", text.upper())).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def bound_of(name: str) -> Bound | None:
    """Return what a parameter bounds: `created_from` is since, `created_to` before `created_at`."""
    if name.endswith("_from"):
        return Bound(name.removesuffix("_from") + _FIELD, ">=")
    if name.endswith("_to"):
        return Bound(name.removesuffix("_to") + _FIELD, "<")
    return None


def bounds_of(field: str) -> tuple[str, str]:
    """Return the parameters that bound the time of a field."""
    stem = field.removesuffix(_FIELD)
    return f"{stem}_from", f"{stem}_to"
