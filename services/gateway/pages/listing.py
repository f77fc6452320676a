"""One page of a list as its template sees it: what is shown, how to turn the page or sort."""

from dataclasses import dataclass, replace
from typing import Any

from services.gateway.pages.figures import address


@dataclass(frozen=True)
class Listing:
    """Where in a list the reader is. `kept` are the filters that every link carries on."""

    path: str
    total: int
    limit: int
    offset: int = 0
    sort: str = ""
    default_sort: str = ""
    kept: tuple[tuple[str, str], ...] = ()

    def __getattr__(self, name: str) -> str:
        """Return a filter's value by its name; empty where it is not given."""
        if name.startswith("_"):
            raise AttributeError(name)
        return dict(self.kept).get(name, "")

    @property
    def first(self) -> int:
        """Return the number of the first row shown, from 1."""
        return self.offset + 1

    @property
    def last(self) -> int:
        """Return the number of the last row shown."""
        return min(self.offset + self.limit, self.total)

    @property
    def previous_offset(self) -> int:
        """Return the offset of the page before."""
        return max(0, self.offset - self.limit)

    @property
    def next_offset(self) -> int:
        """Return the offset of the page after."""
        return self.offset + self.limit

    @property
    def is_narrowed(self) -> bool:
        """Tell whether a filter or a later page may hide rows."""
        return bool(self.kept) or self.offset > 0

    @property
    def here(self) -> str:
        """Return the address of what is shown."""
        return self.url()

    def url(self, **changes: Any) -> str:
        """Return the address of this list with some things changed; None takes one away."""
        moved = replace(
            self,
            sort=str(changes.pop("sort", self.sort) or ""),
            offset=int(changes.pop("offset", self.offset) or 0),
        )
        kept = dict(self.kept) | {name: value for name, value in changes.items() if value}
        for name in [name for name, value in changes.items() if not value]:
            kept.pop(name, None)
        sort = "" if moved.sort == self.default_sort else moved.sort
        return address(self.path, {**kept, "sort": sort, "offset": moved.offset})
