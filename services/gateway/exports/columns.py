"""Which columns an export has: those of its document, and the parts of its maps.

A member of a nested object is `times.started_at`, one entry of a map `requested.mem`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec

from services.gateway.exports.cells import (
    ABSENT,
    amounts,
    joined,
    limit,
    plain,
    structured,
    text,
)

Render = Callable[[Any], str]
PART_CHARS_MAX: Final = 64
_LIMITS: Final = ("max_", "idle_timeout", "rate_limit")


class Column(NamedTuple):
    """One column: where its value is in the document, and how it is rendered.

    `of_part` renders one entry of a map; `is_slots` says that the entries are resource slots.
    """

    name: str
    path: tuple[str, ...]
    render: Render
    of_part: Render | None = None
    is_slots: bool = False


def columns_of(document: type[msgspec.Struct], *more: str) -> dict[str, Column]:
    """Return the columns of a document by name, and `more` plain ones that are added to it."""
    found = {column.name: column for column in _columns(document, ())}
    return found | {name: Column(name, tuple(name.split(".")), plain) for name in more}


def _columns(document: type[msgspec.Struct], above: tuple[str, ...]) -> Iterable[Column]:
    for field in msgspec.structs.fields(document):
        path = (*above, field.encode_name)
        options = [item for item in get_args(field.type) if item is not NoneType]
        is_nullable = NoneType in get_args(field.type)
        kind = options[0] if is_nullable and len(options) == 1 else field.type
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from _columns(kind, path)
        else:
            yield _column(path, kind)


def _column(path: tuple[str, ...], kind: Any) -> Column:
    name, arguments = ".".join(path), get_args(kind)
    if get_origin(kind) is list:
        is_joined = arguments == (str,) and path[-1] != "command"
        return Column(name, path, joined if is_joined else structured)
    if get_origin(kind) is not dict:
        is_limit = kind is int and path[-1].startswith(_LIMITS)
        return Column(name, path, limit if is_limit else plain)
    if get_origin(arguments[1]) is list:
        return Column(name, path, structured, joined)
    if arguments[1] is str or str in get_args(arguments[1]):
        return Column(name, path, amounts, limit, is_slots=True)
    return Column(name, path, structured, _any)


def _any(value: Any) -> str:
    return structured(value) if isinstance(value, dict | list) else plain(value)


def ordinary(
    columns: Mapping[str, Column], hidden: frozenset[str], slots: Sequence[str]
) -> list[Column]:
    """Return the columns when none are named: a map of slots as one column for each slot."""
    found: list[Column] = []
    for column in columns.values():
        if column.name in hidden:
            continue
        found += [_part(column, slot) for slot in slots] if column.is_slots else [column]
    return found


def chosen(columns: Mapping[str, Column], names: Iterable[str]) -> list[Column] | str:
    """Return the columns of these names; or the first name that there is no column of."""
    found: list[Column] = []
    for name in names:
        column = columns.get(name) or _part_named(columns, name)
        if column is None:
            return name
        found.append(column)
    return found


def _part_named(columns: Mapping[str, Column], name: str) -> Column | None:
    for column in columns.values():
        part = name.removeprefix(f"{column.name}.")
        if column.of_part is not None and part != name and 0 < len(part) <= PART_CHARS_MAX:
            return _part(column, part)
    return None


def _part(column: Column, part: str) -> Column:
    return Column(f"{column.name}.{part}", (*column.path, part), column.of_part or plain)


def header(columns: Iterable[Column]) -> list[str]:
    """Return the first row."""
    return [text(column.name) for column in columns]


def cells(columns: Iterable[Column], document: Mapping[str, Any]) -> list[str]:
    """Return the row of a document."""
    row: list[str] = []
    for _, path, render, _, _ in columns:
        value: Any = document.get(path[0], ABSENT)
        for part in path[1:]:
            value = value.get(part, ABSENT) if isinstance(value, dict) else ABSENT
        row.append(render(value))
    return row
