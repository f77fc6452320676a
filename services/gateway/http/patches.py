"""Merge patches (RFC 7396): what is absent stays, null takes away, everything else is replaced.

A patch's body is a `Body` whose fields all default to UNSET; a field that may be taken away has
None in its type. What cannot be changed, or is not there, is refused with a 422 that names every
such field, as the request is well-formed and only asks for too much.
"""

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from shared.kernel.rejections import FieldError, all_invalid

T = TypeVar("T", bound=msgspec.Struct)
V = TypeVar("V")


def read_patch(call: Call, kind: type[T], read_only: Iterable[str]) -> T:
    """Decode a merge patch; `read_only` are the fields of the object that no patch changes.

    Raises Refused: 400 for what is no JSON object or has a wrong type, 422 for read-only and
    unknown fields and for a null where something must be.
    """
    named = call.json(dict[str, Any])
    hints = get_type_hints(kind)
    fixed = frozenset(read_only)
    errors: list[FieldError] = []
    for name, value in named.items():
        shown = name[:64]
        if name in fixed:
            text = f"'{shown}' cannot be changed."
            errors.append(FieldError(shown, "read_only", text))
        elif name not in hints:
            text = f"There is no field '{shown}'; known are: {', '.join(sorted(hints))}."
            errors.append(FieldError(shown, "unknown_field", text))
        elif value is None and NoneType not in get_args(hints[name]):
            text = f"'{shown}' cannot be null: it must have a value."
            errors.append(FieldError(shown, "required", text))
    if errors:
        raise Refused(all_invalid(tuple(errors)))
    return call.json(kind)


def given(value: V | UnsetType | None, nothing: V) -> V | UnsetType:
    """Return a patch's value for a command; `nothing` stands for null."""
    return nothing if value is None else value


def merged_map(
    before: Mapping[str, V], patch: Mapping[str, V | None] | UnsetType | None
) -> dict[str, V] | UnsetType:
    """Return a map as a patch makes it: null takes an entry away, or all of them."""
    if isinstance(patch, UnsetType):
        return UNSET
    if patch is None:
        return {}
    result = dict(before)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result
