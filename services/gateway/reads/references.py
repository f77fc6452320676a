"""Who uses a policy: keypairs, users and projects, whatever their status, but nothing erased."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, get_args

import asyncpg
import msgspec

from services.gateway.documents.references import (
    Deletability,
    DeletionReason,
    ReferenceDocument,
    ReferenceOwner,
)
from services.gateway.http.parameters import Field, FieldKind, FilterValue, ListSpec
from services.gateway.reads.models import ReadModels
from services.gateway.reads.resources import Resource
from shared.contracts.policies import PolicyKind
from shared.contracts.users import KeypairStatus, UserStatus

Found = Sequence[tuple[str, str]]
Filters = tuple[tuple[str, tuple[FilterValue, ...]], ...]
# known to the statements, not to callers
_POLICY: Final = Field("resource_policy", FieldKind.EXACT, sortable=False, filterable=False)
_TIMES: Final = (
    Field("created_at", FieldKind.TIME, filterable=False),
    Field("modified_at", FieldKind.TIME, filterable=False),
)
_OWNERS: Final = "select id, email, erased from users where id = any($1::text[])"

KEYPAIR_REFERENCES: Final = Resource(
    noun="keypair_policy_reference",
    table="keypairs",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("status", FieldKind.EXACT, choices=get_args(KeypairStatus)),
            Field("user_id", FieldKind.EXACT),
            _POLICY,
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={},
    list_action="keypair-policies.references",
    read_action="keypair-policies.references",
    only="user_id not in (select id from users where erased)",
)
USER_REFERENCES: Final = Resource(
    noun="user_policy_reference",
    table="users",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("email", FieldKind.TEXT),
            Field("status", FieldKind.EXACT, choices=get_args(UserStatus)),
            _POLICY,
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={},
    list_action="user-policies.references",
    read_action="user-policies.references",
    only="not erased",
)
PROJECT_REFERENCES: Final = Resource(
    noun="project_policy_reference",
    table="projects",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("name", FieldKind.TEXT),
            Field("domain", FieldKind.EXACT),
            Field("is_active", FieldKind.FLAG),
            _POLICY,
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={},
    list_action="project-policies.references",
    read_action="project-policies.references",
)


class Uses(NamedTuple):
    """Where to find who uses policies of a kind; `those` is what is called so, one and many."""

    resource: Resource
    those: tuple[str, str]

    def filters(self, name: str) -> Filters:
        """Return what narrows the list to one policy."""
        return (("resource_policy", (name,)),)

    async def number(self, connection: asyncpg.Connection | asyncpg.Pool, name: str) -> int:
        """Return how many use a policy."""
        found: int = await connection.fetchval(
            f"select count(*) from {self.resource.table} where resource_policy = $1"  # noqa: S608  # our constants
            f" and {self.resource.only or 'true'}",
            name,
        )
        return found


USES: Final[Mapping[PolicyKind, Uses]] = {
    "keypair": Uses(KEYPAIR_REFERENCES, ("keypair", "keypairs")),
    "user": Uses(USER_REFERENCES, ("user", "users")),
    "project": Uses(PROJECT_REFERENCES, ("project", "projects")),
}


async def deletability(reads: ReadModels, kind: PolicyKind, policy: dict[str, Any]) -> Deletability:
    """Tell whether a policy could be deleted as things are; the services decide when asked to."""
    uses, name = USES[kind], policy["name"]
    count = await uses.number(reads.pool, name)
    if policy.get("is_default"):
        text = f"'{name}' is the default policy; make another one the default first."
        return Deletability(
            deletable=False, reason=DeletionReason(code="default_policy", message=text)
        )
    if count:
        one, many = uses.those
        text = f"{count} {one if count == 1 else many} use it; give them another policy first."
        return Deletability(
            deletable=False, reason=DeletionReason(code="policy_in_use", message=text)
        )
    return Deletability(deletable=True, reason=None)


class References:
    """Turns documents of who uses a policy into what is told of them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    def decorate(self, reads: ReadModels) -> None:
        """Let these read models show references."""
        reads.decorate(KEYPAIR_REFERENCES, self.keypairs)
        reads.decorate(USER_REFERENCES, self.users)
        reads.decorate(PROJECT_REFERENCES, self.projects)

    async def keypairs(self, found: Found) -> list[str]:
        """Tell which keypairs, and whose they are."""
        keypairs = [msgspec.json.decode(text) for _, text in found]
        owners = {keypair["user_id"] for keypair in keypairs}
        rows = await self._pool.fetch(_OWNERS, sorted(owners))
        emails = {row["id"]: None if row["erased"] else row["email"] for row in rows}
        return [
            _told(
                ReferenceDocument(
                    type="keypair",
                    id=keypair["id"],
                    name=keypair["access_key"],
                    status=keypair["status"],
                    owner=ReferenceOwner(
                        id=keypair["user_id"], email=emails.get(keypair["user_id"])
                    ),
                )
            )
            for keypair in keypairs
        ]

    async def users(self, found: Found) -> list[str]:
        """Tell which users."""
        users = [msgspec.json.decode(text) for _, text in found]
        return [
            _told(
                ReferenceDocument(
                    type="user", id=user["id"], name=user["email"], status=user["status"]
                )
            )
            for user in users
        ]

    async def projects(self, found: Found) -> list[str]:
        """Tell which projects."""
        projects = [msgspec.json.decode(text) for _, text in found]
        return [
            _told(
                ReferenceDocument(
                    type="project",
                    id=project["id"],
                    name=project["name"],
                    status="active" if project["is_active"] else "inactive",
                )
            )
            for project in projects
        ]


def _told(reference: ReferenceDocument) -> str:
    return msgspec.json.encode(reference).decode()
