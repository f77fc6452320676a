"""A page of documents, still as text: joined, not decoded."""

from typing import Any, NamedTuple

import msgspec


class Page(NamedTuple):
    """One page of a list. `items` are JSON objects as text; `total` counts all pages."""

    items: tuple[str, ...]
    total: int
    next_cursor: str | None = None

    def encode(self) -> bytes:
        """Return the body of the answer."""
        cursor = "null" if self.next_cursor is None else f'"{self.next_cursor}"'
        return (
            f'{{"items":[{",".join(self.items)}],"total":{self.total},"next_cursor":{cursor}}}'
        ).encode()

    def documents(self) -> list[dict[str, Any]]:
        """Return the documents decoded, for pages that render them."""
        return [msgspec.json.decode(item) for item in self.items]


def extend(document: str, members: dict[str, Any]) -> str:
    """Add members to a JSON object that is text: what changes by the second is not stored."""
    return f"{document[:-1]},{msgspec.json.encode(members).decode()[1:]}" if members else document
