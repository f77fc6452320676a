"""List parameters: limit, offset or cursor, sort and filters; anything else is a named 400.

A list says what it allows in a `ListSpec`; `parse_list` turns a query string into a `ListQuery`.
Parsing is pure and remembered for the query strings that come again and again.
"""

import base64
import binascii
from collections import OrderedDict
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from services.gateway.http.problems import malformed
from services.gateway.http.times import bound_of, bounds_of, parse_moment
from shared.kernel.rejections import FieldError, Rejection

LIMIT_DEFAULT: Final = 20
LIMIT_MAX: Final = 500
OFFSET_MAX: Final = 10_000_000
QUERY_CHARS_MAX: Final = 8_192
_RESERVED: Final = frozenset({"limit", "offset", "cursor", "sort"})
_REMEMBERED_MAX: Final = 512


class FieldKind(Enum):
    """How a field is filtered; the value is the column's Postgres type."""

    TEXT = "text"  # case-insensitive substring
    EXACT = "character varying"  # enumerations, ids and names: any of
    FLAG = "boolean"
    NUMBER = "bigint"
    TIME = "timestamptz"  # since and before
    AMONG = "text[]"  # several texts in one column: holds any of these


class Field(NamedTuple):
    """One column that a list can be filtered or sorted by; `choices` limits an enumeration.

    A time that is never before another one, `after`, is found through that one's index.
    """

    name: str
    kind: FieldKind
    sortable: bool = True
    filterable: bool = True
    choices: tuple[str, ...] | None = None
    nullable: bool = False
    after: str | None = None


class ListSpec(NamedTuple):
    """What a list allows, and how it is sorted when the caller doesn't say."""

    fields: tuple[Field, ...]
    default_sort: str = "created_at"

    def field(self, name: str) -> Field | None:
        """Return the field of this name."""
        return next((field for field in self.fields if field.name == name), None)

    def narrowing(self, name: str) -> Field | None:
        """Return the field that a parameter narrows by; a time is bounded on either side."""
        bound = bound_of(name)
        field = self.field(name if bound is None else bound.field)
        if field is None or not field.filterable:
            return None
        return field if (field.kind is FieldKind.TIME) == (bound is not None) else None

    def narrowings(self) -> tuple[str, ...]:
        """Return the parameters that narrow the list."""
        named = (item for item in self.fields if item.filterable)
        each = (
            bounds_of(item.name) if item.kind is FieldKind.TIME else (item.name,) for item in named
        )
        return tuple(name for names in each for name in names)


class SortKey(NamedTuple):
    """One sort column."""

    name: str
    descending: bool


FilterValue = str | bool | int | datetime


class ListQuery(NamedTuple):
    """What a caller asked of a list. `after` is the decoded cursor: the last row's sort values.

    `at` is the moment of which it asks; None is now.
    """

    limit: int = LIMIT_DEFAULT
    offset: int = 0
    sort: tuple[SortKey, ...] = ()
    filters: tuple[tuple[str, tuple[FilterValue, ...]], ...] = ()
    after: tuple[object, ...] | None = None
    at: datetime | None = None


_remembered: OrderedDict[tuple[int, str], ListQuery] = OrderedDict()


def parse_list(spec: ListSpec, query: str) -> ListQuery | Rejection:
    """Parse a raw query string against what the list allows."""
    key = (id(spec), query)
    known = _remembered.get(key)
    if known is not None:
        return known
    parsed = _parse(spec, query)
    if isinstance(parsed, ListQuery):
        _remembered[key] = parsed
        if len(_remembered) > _REMEMBERED_MAX:
            _remembered.popitem(last=False)
    return parsed


def _parse(spec: ListSpec, query: str) -> ListQuery | Rejection:
    pairs = query_pairs(query)
    if isinstance(pairs, Rejection):
        return pairs
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    errors: list[FieldError] = []
    limit = _number(values, "limit", LIMIT_DEFAULT, LIMIT_MAX, errors)
    offset = _number(values, "offset", 0, OFFSET_MAX, errors)
    sort = _sort(spec, values, errors)
    after = _after(values, sort, errors)
    filters = _filters(spec, values, errors)
    if errors:
        return malformed("malformed_query", errors[0].message, tuple(errors))
    return ListQuery(limit=limit, offset=offset, sort=sort, filters=filters, after=after)


def query_pairs(query: str) -> list[tuple[str, str]] | Rejection:
    """Split a query string; text that is not UTF-8, holds NUL or is too long is refused."""
    if len(query) > QUERY_CHARS_MAX:
        return malformed("malformed_query", f"The query is longer than {QUERY_CHARS_MAX} bytes.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        return malformed("malformed_query", "The query cannot be read.")
    if any("\0" in name or "\0" in value for name, value in pairs):
        return malformed("malformed_query", "The query holds a NUL character.")
    return pairs


def only_parameters(query: str, *allowed: str) -> dict[str, str] | Rejection:
    """Parse a query that is not a list's: each name at most once, unknown ones are refused."""
    pairs = query_pairs(query)
    if isinstance(pairs, Rejection):
        return pairs
    for name, _ in pairs:
        if name not in allowed:
            return _unknown(name, allowed)
    if len({name for name, _ in pairs}) != len(pairs):
        return malformed("malformed_query", "A parameter is given more than once.")
    return dict(pairs)


def parse_flag(parameters: dict[str, str], name: str) -> bool | Rejection:
    """Read a boolean parameter; absent is false."""
    text = parameters.get(name, "false")
    if text not in {"true", "false"}:
        return _refuse(name, "wrong_type", f"{name} is 'true' or 'false'.")
    return text == "true"


def _refuse(name: str, code: str, message: str) -> Rejection:
    return malformed("malformed_query", message, (FieldError(name, code, message),))


def _unknown(name: str, allowed: tuple[str, ...]) -> Rejection:
    shown = name[:64]
    message = f"There is no parameter '{shown}' here; known are: {', '.join(sorted(allowed))}."
    return _refuse(shown, "unknown_parameter", message)


def _number(
    values: dict[str, list[str]], name: str, default: int, most: int, errors: list[FieldError]
) -> int:
    given = values.get(name)
    if given is None:
        return default
    text = given[0]
    if len(given) > 1 or not (text.isascii() and text.isdigit()) or len(text) > 12:
        errors.append(FieldError(name, "not_a_number", f"{name} is one whole number."))
        return default
    number = int(text)
    if number > most or (name == "limit" and number < 1):
        least = 1 if name == "limit" else 0
        errors.append(FieldError(name, "out_of_range", f"{name} is {least} to {most}."))
        return default
    return number


def _sort(
    spec: ListSpec, values: dict[str, list[str]], errors: list[FieldError]
) -> tuple[SortKey, ...]:
    given = values.get("sort")
    keys: list[SortKey] = []
    for part in ",".join(given or [spec.default_sort]).split(","):
        name = part.removeprefix("-")
        field = spec.field(name)
        if field is None or not field.sortable:
            known = ", ".join(field.name for field in spec.fields if field.sortable)
            message = f"This list is not sorted by '{name[:64]}'; it can be by: {known}."
            errors.append(FieldError("sort", "unknown_field", message))
        elif name in {key.name for key in keys}:
            errors.append(FieldError("sort", "repeated", f"sort names {name} twice."))
        else:
            keys.append(SortKey(name, part.startswith("-")))
    return tuple(keys)


def _filters(
    spec: ListSpec, values: dict[str, list[str]], errors: list[FieldError]
) -> tuple[tuple[str, tuple[FilterValue, ...]], ...]:
    filters: list[tuple[str, tuple[FilterValue, ...]]] = []
    for name in sorted(values.keys() - _RESERVED):
        field = spec.narrowing(name)
        if field is None:
            errors.extend(_unknown(name, (*_RESERVED, *spec.narrowings())).errors)
            continue
        wanted = tuple(_value(name, field, text) for text in values[name])
        wrong = next((item for item in wanted if isinstance(item, FieldError)), None)
        if wrong is not None:
            errors.append(wrong)
        else:
            filters.append((name, tuple(v for v in wanted if not isinstance(v, FieldError))))
    return tuple(filters)


def _value(name: str, field: Field, text: str) -> FilterValue | FieldError:
    if field.kind is FieldKind.TIME:
        message = f"{name} is a time such as 2026-01-31T23:59:59Z (RFC 3339)."
        return parse_moment(text) or FieldError(name, "not_a_time", message)
    if field.choices is not None and text not in field.choices:
        known = ", ".join(field.choices)
        message = f"{field.name} is one of: {known}."
        return FieldError(field.name, "unknown_choice", message)
    if field.kind is FieldKind.FLAG:
        if text in {"true", "false"}:
            return text == "true"
        return FieldError(field.name, "wrong_type", f"{field.name} is 'true' or 'false'.")
    if field.kind is FieldKind.NUMBER:
        if text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= 18:
            return int(text)
        return FieldError(field.name, "wrong_type", f"{field.name} is a whole number.")
    return text


def encode_cursor(sort: tuple[SortKey, ...], values: tuple[object, ...]) -> str:
    """Return the opaque cursor that continues after a row with these sort values."""
    content = ([f"{'-' if key.descending else ''}{key.name}" for key in sort], values)
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).rstrip(b"=").decode()


def _after(
    values: dict[str, list[str]], sort: tuple[SortKey, ...], errors: list[FieldError]
) -> tuple[object, ...] | None:
    given = values.get("cursor")
    if given is None:
        return None
    if "offset" in values:
        errors.append(FieldError("cursor", "exclusive", "Give a cursor or an offset, not both."))
        return None
    names = [f"{'-' if key.descending else ''}{key.name}" for key in sort]
    try:
        text = given[0] + "=" * (-len(given[0]) % 4)
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
        made_for, after = msgspec.json.decode(raw, type=tuple[list[str], list[str | int | bool]])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        made_for, after = [], []
    if made_for != names or len(after) != len(names) + 1:
        message = "This cursor is not of this list in this order."
        errors.append(FieldError("cursor", "unknown_cursor", message))
        return None
    return tuple(after)


def cursor_time(value: object) -> datetime | None:
    """Return the moment that a cursor holds for a time column; None when it holds none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
