"""How objects were at a moment: which rows to read, and what is added when they are rendered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from services.gateway.reads.pages import extend
from services.gateway.reads.resources import Resource

Found = Sequence[tuple[str, str]]
_LOGINS: Final = (
    "select user_id, max(created_at) from logins"
    " where user_id = any($1::text[]) and created_at <= $2 group by user_id"
)


def rows_at(resource: Resource, at: str) -> str:
    """Return what stands for the table of a list at a moment; `at` is its placeholder.

    What is now and was so then, and what was only then. Raises LookupError where no past is kept.
    """
    if resource.versions is None:
        raise LookupError(resource.noun)
    documents = dict.fromkeys(("doc", resource.narrow_doc))
    fields = (field.name for field in resource.spec.fields if field.name != "id")
    names = ["id", *documents, *fields]
    columns = ", ".join(
        f"{resource.past_columns[name].format(at=at)} as {name}"
        if name in resource.past_columns
        else name
        for name in names
    )
    return (
        f"(select {columns} from {resource.table} v where valid_from <= {at}"  # noqa: S608  # constants
        f" union all select {columns} from {resource.versions} v"
        f" where valid_from <= {at} and valid_to > {at}) as {resource.table}"
    )


class Past:
    """Renders documents of the past: what changes without a version is looked up where it is."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def users(self, found: Found, at: datetime) -> list[str]:
        """Say of each user when the last log-in before the moment was."""
        rows = await self._pool.fetch(_LOGINS, [key for key, _ in found], at)
        times = {row[0]: row[1] for row in rows}
        return [_with(text, last_login_at=times.get(key)) for key, text in found]

    async def keypairs(self, found: Found, at: datetime) -> list[str]:  # noqa: ARG002  # as users
        """Say that nobody knows how much a keypair was used: that is measured, not remembered."""
        unknown = {"requests_in_window": None, "last_used_at": None}
        return [extend(text, unknown) for _, text in found]


def _with(text: str, **members: Any) -> str:
    document: dict[str, Any] = msgspec.json.decode(text)
    return msgspec.json.encode({**document, **members}).decode()
