"""A new account: a user with the first keypair, written together or not at all."""

from collections.abc import Iterable
from typing import NamedTuple

import asyncpg

from services.users.domain import keypair, user
from services.users.domain.profile import normal_email, normal_username
from services.users.vault import EMAIL, USERNAME, Vault
from shared.contracts.users import CreateUser, ProjectMemberAdded, UsersEvent
from shared.eventlog.codec import stream_name
from shared.eventlog.records import Claim, Write
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.security.persons import PersonKey, seal_text
from shared.security.sealing import Keyring
from shared.security.tokens import new_access_key, new_secret_key


class Account(NamedTuple):
    """The identity and the secrets of a new account, before anything is decided or written."""

    key: PersonKey
    access_key: str
    secret_key: str

    @property
    def user_id(self) -> str:
        """Return the new user's id."""
        return self.key.user_id

    @classmethod
    def draw(cls, access_key: str | None = None, secret_key: str | None = None) -> "Account":
        """Return a new account with random secrets, or with a given keypair."""
        return cls(
            PersonKey.generate(new_id()),
            access_key or new_access_key(),
            secret_key or new_secret_key(),
        )

    def seal_profile(self, command: CreateUser) -> user.SealedProfile:
        """Return the person's texts sealed under the person's key."""
        return user.SealedProfile(
            email=seal_text(self.key, "email", command.email),
            username=seal_text(self.key, "username", command.username),
            full_name=seal_text(self.key, "full_name", command.full_name),
            description=seal_text(self.key, "description", command.description),
        )

    async def store(self, connection: asyncpg.Connection, vault: Vault, encoded_hash: str) -> None:
        """Write the account's secrets, in the transaction that appends its events."""
        await vault.put_person_key(connection, self.key)
        await vault.put_password(connection, self.user_id, encoded_hash)
        await vault.put_secret_key(connection, self.user_id, self.access_key, self.secret_key)


def fingerprints(keyring: Keyring, command: CreateUser) -> dict[str, str]:
    """Return, by kind of claim, the keyed hashes under which a user's names are unique."""
    return {
        EMAIL: keyring.fingerprint(EMAIL, normal_email(command.email)),
        USERNAME: keyring.fingerprint(USERNAME, normal_username(command.username)),
    }


def claims_of(names: dict[str, str], user_id: str) -> list[Claim]:
    """Return the claims that make a user's names unique."""
    return [Claim(kind, value, user_id) for kind, value in names.items()]


def decide_account(
    account: Account,
    command: CreateUser,
    facts: user.NewUser,
    keypair_policy: str,
    projects: Iterable[str],
    *,
    rate_limit: int = keypair.DEFAULT_RATE_LIMIT,
) -> list[Write] | Rejection:
    """Decide on the user, the keypair and the memberships; all of it or the first refusal."""
    issue = keypair.NewKeypair(
        access_key=account.access_key,
        user_id=account.user_id,
        resource_policy=keypair_policy,
        is_main=True,
        rate_limit=rate_limit,
    )
    decisions: list[tuple[str, tuple[UsersEvent, ...] | Rejection]] = [
        (stream_name("user", account.user_id), user.decide(user.INITIAL, command, facts)),
        (stream_name("keypair", account.access_key), keypair.decide(keypair.INITIAL, issue)),
    ]
    writes = []
    for stream, outcome in decisions:
        if isinstance(outcome, Rejection):
            return outcome
        writes.append(Write(stream, 0, outcome))
    for project_id in projects:
        joined = ProjectMemberAdded(project_id=project_id, user_id=account.user_id)
        writes.append(Write(stream_name("project", project_id), None, (joined,)))
    return writes
