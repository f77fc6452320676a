"""The read model of the users service: domains, projects, users, keypairs and log-in sessions."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import asyncpg

from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.documents.logins import LoginDocument
from services.gateway.documents.tenancy import DomainDocument, ProjectDocument
from services.gateway.documents.users import UserDocument
from services.gateway.projections.people import (
    KEYPAIRS,
    LOGINS,
    USERS,
    keypair_issued,
    login_ended,
    login_started,
    user_created,
)
from services.gateway.projections.tenants import (
    DOMAINS,
    PROJECTS,
    domain_created,
    project_created,
)
from shared.contracts.users import (
    DomainCreated,
    KeypairIssued,
    LoginEnded,
    LoginStarted,
    ProjectCreated,
    ProjectMemberAdded,
    UserCreated,
)
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables
from shared.security.persons import PersonKey

PersonKeysOf = Callable[[Iterable[str]], Awaitable[Mapping[str, PersonKey | None]]]

_MEMBERSHIPS: Final = (
    "create table {} (project_id text, user_id text, role text not null,"
    " primary key (project_id, user_id))"
)
_TOKENS: Final = "create table {} (login_id text primary key, token_hash text not null)"


class _Batch:
    """The documents that a batch of events touches, and what else it adds."""

    def __init__(self) -> None:
        self.users: dict[str, UserDocument] = {}
        self.keypairs: dict[str, KeypairDocument] = {}
        self.logins: dict[str, LoginDocument] = {}
        self.domains: dict[str, DomainDocument] = {}
        self.projects: dict[str, ProjectDocument] = {}
        self.members: dict[tuple[str, str], str] = {}
        self.tokens: dict[str, str] = {}


class UsersProjection:
    """Folds the users service's events. `keys` opens sealed texts; it raises NotYet when away."""

    name = "users"
    version = 1
    sources = ("users",)
    tables = (
        "domains",
        "projects",
        "memberships",
        "users",
        "keypairs",
        "logins",
        "login_tokens",
    )

    def __init__(self, keys: PersonKeysOf) -> None:
        self._keys = keys

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        await DOMAINS.create(tx, tables("domains"))
        await PROJECTS.create(tx, tables("projects"), indexes=("domain",))
        await USERS.create(
            tx,
            tables("users"),
            nullable=frozenset({"last_login_at"}),
            indexes=("created_at, id", "email, id", "username, id", "domain, created_at, id"),
        )
        await KEYPAIRS.create(
            tx,
            tables("keypairs"),
            nullable=frozenset({"rate_limit"}),
            indexes=("created_at, id", "user_id", "domain, created_at, id"),
        )
        await LOGINS.create(tx, tables("logins"), indexes=("user_id, created_at", "expires_at"))
        await tx.execute(_MEMBERSHIPS.format(tables("memberships")))
        await tx.execute(f"create index on {tables('memberships')} (user_id)")
        await tx.execute(_TOKENS.format(tables("login_tokens")))

    async def apply(
        self,
        tx: asyncpg.Connection,
        tables: Tables,
        source: str,  # noqa: ARG002  # the only source
        events: Sequence[Recorded],
    ) -> None:
        """Apply events of the users service, in order."""
        created = [item.event.user_id for item in events if isinstance(item.event, UserCreated)]
        keys = await self._keys(created) if created else {}
        batch = _Batch()
        people = {user_id for item in events if (user_id := _person(item)) is not None}
        batch.users = await USERS.load(tx, tables("users"), people)
        ended = [item.event.login_id for item in events if isinstance(item.event, LoginEnded)]
        batch.logins = await LOGINS.load(tx, tables("logins"), ended)
        for recorded in events:
            _fold(batch, recorded, keys)
        await _save(tx, tables, batch)


def _person(recorded: Recorded) -> str | None:
    event = recorded.event
    if isinstance(event, KeypairIssued | ProjectMemberAdded | LoginStarted):
        return event.user_id
    return None


def _fold(batch: _Batch, recorded: Recorded, keys: Mapping[str, PersonKey | None]) -> None:
    event, at = recorded.event, recorded.recorded_at
    if isinstance(event, UserCreated):
        batch.users[event.user_id] = user_created(event, keys[event.user_id], at)
    elif isinstance(event, KeypairIssued):
        user = batch.users[event.user_id]
        batch.keypairs[event.access_key] = keypair_issued(event, user.domain, at)
        if event.is_main:
            user.main_access_key = event.access_key
            user.modified_at = at
    elif isinstance(event, ProjectMemberAdded):
        user = batch.users[event.user_id]
        batch.members[event.project_id, event.user_id] = event.role
        if event.project_id not in user.projects:
            user.projects.append(event.project_id)
            user.modified_at = at
    elif isinstance(event, LoginStarted):
        address = recorded.meta.client_address
        batch.logins[event.login_id] = login_started(event, address, at)
        batch.tokens[event.login_id] = event.token_hash
        batch.users[event.user_id].last_login_at = at
    elif isinstance(event, LoginEnded):
        login_ended(batch.logins[event.login_id], event, at)
    elif isinstance(event, DomainCreated):
        batch.domains[event.name] = domain_created(event, at)
    elif isinstance(event, ProjectCreated):
        batch.projects[event.project_id] = project_created(event, at)


async def _save(tx: asyncpg.Connection, tables: Tables, batch: _Batch) -> None:
    await DOMAINS.save(tx, tables("domains"), batch.domains)
    await PROJECTS.save(tx, tables("projects"), batch.projects)
    await USERS.save(tx, tables("users"), batch.users)
    await KEYPAIRS.save(tx, tables("keypairs"), batch.keypairs)
    await LOGINS.save(tx, tables("logins"), batch.logins)
    if batch.members:
        await tx.execute(
            f"insert into {tables('memberships')} (project_id, user_id, role)"  # noqa: S608  # names of our own code
            " select * from unnest($1::text[], $2::text[], $3::text[])"
            " on conflict (project_id, user_id) do update set role = excluded.role",
            [project_id for project_id, _ in batch.members],
            [user_id for _, user_id in batch.members],
            list(batch.members.values()),
        )
    if batch.tokens:
        await tx.execute(
            f"insert into {tables('login_tokens')} (login_id, token_hash)"  # noqa: S608  # as above
            " select * from unnest($1::text[], $2::text[]) on conflict do nothing",
            list(batch.tokens),
            list(batch.tokens.values()),
        )
