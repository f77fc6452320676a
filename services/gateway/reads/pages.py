"""A page of documents, still as text: joined, not decoded."""

from typing import Any

import msgspec


class Page:
    """One page of a list. `items` are JSON objects as text; `total` counts all pages."""

    __slots__ = ("_body", "items", "next_cursor", "total")

    def __init__(self, items: tuple[str, ...], total: int, next_cursor: str | None = None) -> None:
        self.items = items
        self.total = total
        self.next_cursor = next_cursor
        self._body: bytes | None = None

    def encode(self) -> bytes:
        """Return the body of the answer; it is rendered once, as a page is given to many."""
        if self._body is None:
            cursor = "null" if self.next_cursor is None else f'"{self.next_cursor}"'
            self._body = (
                f'{{"items":[{",".join(self.items)}],"total":{self.total},"next_cursor":{cursor}}}'
            ).encode()
        return self._body

    def documents(self) -> list[dict[str, Any]]:
        """Return the documents decoded, for pages that render them."""
        return [msgspec.json.decode(item) for item in self.items]


def extend(document: str, members: dict[str, Any]) -> str:
    """Add members to a JSON object that is text: what changes by the second is not stored."""
    return f"{document[:-1]},{msgspec.json.encode(members).decode()[1:]}" if members else document
