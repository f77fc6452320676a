"""What a wish changes: the fields that are given and not so already."""

from typing import Any

import msgspec
from msgspec import UNSET


def differing(state: msgspec.Struct, wish: msgspec.Struct, *fields: str) -> dict[str, Any]:
    """Return the given fields of a wish that are not as they are already; UNSET is not given."""
    wished = {field: getattr(wish, field) for field in fields}
    return {
        field: value
        for field, value in wished.items()
        if value is not UNSET and value != getattr(state, field)
    }
