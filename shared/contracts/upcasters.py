"""How an event that was written under an older schema version becomes the newest shape.

`UPCASTERS[service][type, n]` turns the JSON object of version n into that of version n + 1. None
is needed yet: every event is at version 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.contracts.base import ServiceName

UPCASTERS: Final[
    Mapping[ServiceName, Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]]
] = {}
