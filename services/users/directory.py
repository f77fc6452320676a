"""Which domains and projects exist, as the index over the log says (`indexing.py` writes it)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg
import msgspec

from shared.contracts.users import ProjectType

MODEL_STORE: Final[ProjectType] = "model-store"
_PLACE: Final = """
    select exists (select from domains where name = $1) as known,
           coalesce((select json_object_agg(project_id, domain) from projects
                     where project_id = any($2::text[])), '{}')::text as asked,
           array(select project_id from projects
                 where domain = $1 and project_type = $3 order by project_id) as stores
"""


class Place(NamedTuple):
    """Where a new user would belong.

    `asked` gives the domain of each project asked for that exists; `stores` are the model-store
    projects of the domain, which every user of it joins.
    """

    domain_exists: bool
    asked: dict[str, str]
    stores: tuple[str, ...]


class Directory:
    """Reads the index."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def place(self, domain: str, projects: Sequence[str]) -> Place:
        """Return what a user of `domain` in `projects` would belong to."""
        (row,) = await self._pool.fetch(_PLACE, domain, list(projects), MODEL_STORE)
        asked = msgspec.json.decode(row["asked"], type=dict[str, str])
        return Place(row["known"], asked, tuple(row["stores"]))

    async def project_named(self, domain: str, name: str) -> str | None:
        """Return the id of a project, None when the domain has none of that name."""
        found: str | None = await self._pool.fetchval(
            "select project_id from projects where domain = $1 and name = $2", domain, name
        )
        return found
