"""The read model of the users service: domains, projects, users, keypairs and log-in sessions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import asyncpg

from services.gateway.projections.keypairs import KEYPAIRS
from services.gateway.projections.people import LOGINS, USER_KINDS, USERS
from services.gateway.projections.tables import by_each
from services.gateway.projections.tenants import DOMAINS, MEMBERSHIPS, PROJECTS
from services.gateway.projections.users_fold import Batch, Touched, fold
from services.gateway.projections.versions import Versions
from shared.contracts.users import UserCreated, UserErased, UserProfileChanged
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables
from shared.security.persons import PersonKey

# the orders of lists; null comes first, as the lists compare it
_USER_ORDERS: Final = (
    "modified_at",
    "description",
    "domain",
    "role",
    "status",
    "resource_policy",
    "password_change_required",
    "sudo_session_enabled",
    "totp_enabled",
    "erased",
    "main_access_key",
    "coalesce(last_login_at, '0001-01-01T00:00:00Z'::timestamptz)",
)
# these also hold what lists are narrowed by: rows that are passed over are not read
_USER_MAIN_ORDERS: Final = ("created_at", "email", "username", "full_name")
_KEYPAIR_ORDERS: Final = (
    "created_at",
    "modified_at",
    "user_id",
    "domain",
    "status",
    "resource_policy",
    "is_main",
)
_TOKENS: Final = "create table {} (login_id text primary key, token_hash text not null)"


class Keys(Protocol):
    """Opens what is said of persons; `shared.security.persons.PersonKeys` is one."""

    async def get(self, user_ids: Iterable[str]) -> Mapping[str, PersonKey | None]:
        """Return the key of each person, None for an erased one; raises NotYet when away."""
        ...

    def forget(self, user_id: str) -> None:
        """Drop what is remembered of a person."""
        ...


class UsersProjection:
    """Folds the users service's events. `keys` opens sealed texts; it raises NotYet when away."""

    name = "users"
    version = 4
    sources = ("users",)
    tables = (
        "domains",
        "projects",
        "memberships",
        "users",
        "user_versions",
        "user_counts",
        "keypairs",
        "keypair_versions",
        "keypair_counts",
        "logins",
        "login_tokens",
    )

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        await DOMAINS.create(tx, tables("domains"))
        await PROJECTS.create(tx, tables("projects"), indexes=("domain",))
        await MEMBERSHIPS.create(
            tx, tables("memberships"), indexes=("user_id", "project_id, user_id")
        )
        await USERS.create(
            tx,
            tables("users"),
            nullable=frozenset({"last_login_at"}),
            indexes=(*by_each(*_USER_ORDERS), "domain, created_at, id"),
        )
        kinds = ", ".join(USER_KINDS)
        for column in _USER_MAIN_ORDERS:
            await tx.execute(f"create index on {tables('users')} ({column}, id) include ({kinds})")
        await KEYPAIRS.create(
            tx,
            tables("keypairs"),
            nullable=frozenset({"rate_limit"}),
            indexes=(*by_each(*_KEYPAIR_ORDERS), "domain, created_at, id"),
        )
        await USERS.tally.create(tx, tables("user_counts"))
        await KEYPAIRS.tally.create(tx, tables("keypair_counts"))
        await USERS.create_versions(
            tx, tables("user_versions"), nullable=frozenset({"last_login_at"})
        )
        await KEYPAIRS.create_versions(
            tx, tables("keypair_versions"), nullable=frozenset({"rate_limit"})
        )
        await LOGINS.create(tx, tables("logins"), indexes=("user_id, created_at", "expires_at"))
        await tx.execute(_TOKENS.format(tables("login_tokens")))

    async def apply(
        self,
        tx: asyncpg.Connection,
        tables: Tables,
        source: str,  # noqa: ARG002  # the only source
        events: Sequence[Recorded],
    ) -> None:
        """Apply events of the users service, in order."""
        keys = await self._person_keys(events)
        touched = Touched.by(events)
        batch = Batch()
        batch.domains = await DOMAINS.load(tx, tables("domains"), touched.domains)
        batch.projects = await PROJECTS.load(tx, tables("projects"), touched.projects)
        batch.members = await MEMBERSHIPS.load(tx, tables("memberships"), touched.members)
        batch.users = await USERS.load(tx, tables("users"), touched.users)
        batch.keypairs = await KEYPAIRS.load(tx, tables("keypairs"), touched.keypairs)
        batch.logins = await LOGINS.load(tx, tables("logins"), touched.logins)
        past = _Past(batch)
        for recorded in events:
            fold(batch, recorded, keys)
            past.note(batch, recorded)
        await _save(tx, tables, batch, past)

    async def _person_keys(self, events: Sequence[Recorded]) -> Mapping[str, PersonKey | None]:
        """Return the keys that these events need; an erased person's is remembered no longer."""
        named: list[str] = []
        for recorded in events:
            event = recorded.event
            if isinstance(event, UserErased):
                self._keys.forget(event.user_id)
            elif isinstance(event, UserCreated | UserProfileChanged):
                named.append(event.user_id)
        return await self._keys.get(named) if named else {}


class _Past:
    """How users and keypairs were at each moment of a batch."""

    def __init__(self, batch: Batch) -> None:
        self.users = Versions(USERS, batch.users)
        self.keypairs = Versions(KEYPAIRS, batch.keypairs)

    def note(self, batch: Batch, recorded: Recorded) -> None:
        """Keep what an event has changed."""
        event, at = recorded.event, recorded.recorded_at
        user_id, access_key = getattr(event, "user_id", None), getattr(event, "access_key", None)
        previous = getattr(event, "previous", None)
        self.users.note(batch.users, filter(None, (user_id,)), at)
        self.keypairs.note(batch.keypairs, filter(None, (access_key, previous)), at)
        if isinstance(event, UserErased):
            self.users.erase(event.user_id)


async def _save(tx: asyncpg.Connection, tables: Tables, batch: Batch, past: _Past) -> None:
    await DOMAINS.save(tx, tables("domains"), batch.domains)
    await PROJECTS.save(tx, tables("projects"), batch.projects)
    await MEMBERSHIPS.remove(tx, tables("memberships"), batch.members_gone)
    await MEMBERSHIPS.save(tx, tables("memberships"), batch.members)
    users = (tables("users"), tables("user_versions"), tables("user_counts"))
    await past.users.save(tx, *users, batch.users)
    keypairs = (tables("keypairs"), tables("keypair_versions"), tables("keypair_counts"))
    await past.keypairs.save(tx, *keypairs, batch.keypairs)
    await LOGINS.save(tx, tables("logins"), batch.logins)
    if batch.tokens:
        await tx.execute(
            f"insert into {tables('login_tokens')} (login_id, token_hash)"  # noqa: S608  # names of our own code
            " select * from unnest($1::text[], $2::text[]) on conflict do nothing",
            list(batch.tokens),
            list(batch.tokens.values()),
        )
