"""CreateUser: a user with the first keypair, in one transaction."""

from functools import partial

import asyncpg

from services.users.account import Account, claims_of, decide_account, fingerprints
from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.assignments import hold_assigned, is_assignable
from services.users.directory import Surroundings, surroundings
from services.users.domain.user import PROJECTS_MAX, NewUser
from services.users.indexing import index
from services.users.known_policies import KnownPolicies
from services.users.vault import Vault
from shared.contracts.base import Accepted
from shared.contracts.users import CreateUser
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Write
from shared.eventlog.writing import Within
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, conflict, unavailable
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher
from shared.security.rules import check_password
from shared.security.sealing import Keyring, SealBroken
from shared.security.transport import open_password, seal_secret_key

logger = get_logger(__name__)


class UserCreation:
    """Handles CreateUser."""

    def __init__(
        self,
        log: EventLog,
        keyring: Keyring,
        hasher: PasswordHasher,
        policies: KnownPolicies,
        clock: Clock,
    ) -> None:
        self._log = log
        self._keyring = keyring
        self._hasher = hasher
        self._policies = policies
        self._clock = clock
        self._vault = Vault(log.pool, keyring)

    async def create(self, command: CreateUser, context: CommandContext) -> Outcome:
        """Create the user, or refuse with every field that breaks a rule, or with a conflict."""
        try:
            password = open_password(self._keyring, command.sealed_password)
        except SealBroken:
            return malformed_password()
        account = Account.draw()
        hashes: list[str] = []  # a password is hashed once, however often it is decided again

        async def work() -> Outcome:
            return await self._create(command, context, account, password, hashes)

        return await answer_once(self._log, context.idempotency, work)

    async def _create(
        self,
        command: CreateUser,
        context: CommandContext,
        account: Account,
        password: str,
        hashes: list[str],
    ) -> Outcome:
        policy = self._policies.default_keypair_policy
        if policy is None or self._policies.unknown() is not None:
            return self._policies.unknown() or unavailable("policies_unknown", "Try again.", 2)
        asked = command.projects[: PROJECTS_MAX + 1]
        with reaching_postgres():
            around = await surroundings(self._log.pool, command.domain, asked)
        facts = NewUser(
            user_id=account.user_id,
            profile=account.seal_profile(command),
            domain_active=around.domain_active,
            projects=around.projects,
            policy_exists=await is_assignable(
                self._log.pool, self._policies, "user", command.resource_policy
            ),
            password_error=check_password(password),
        )
        projects = dict.fromkeys((*command.projects, *around.stores))
        writes = decide_account(account, command, facts, policy, projects)
        if isinstance(writes, Rejection):
            return writes
        names = fingerprints(self._keyring, command)
        for kind, value in names.items():  # before the expensive part; the append decides races
            if await self._log.owner_of(kind, value) is not None:
                return taken(kind)
        if not hashes:
            remaining_s = context.remaining_s(self._clock.now())
            encoded = await self._hasher.hash(password, wait_s=remaining_s)
            if isinstance(encoded, Rejection):
                return encoded
            hashes.append(encoded)
        store = partial(self._store, account, hashes[0], writes, command, around)
        return await self._append(context, account, writes, names, store)

    async def _append(
        self,
        context: CommandContext,
        account: Account,
        writes: list[Write],
        names: dict[str, str],
        store: Within,
    ) -> Outcome:
        result: dict[str, object] = {
            "user_id": account.user_id,
            "access_key": account.access_key,
            "sealed_secret_key": seal_secret_key(
                self._keyring, account.access_key, account.secret_key
            ),
        }
        try:
            appended = await self._log.append(
                writes,
                context.meta,
                claims=claims_of(names, account.user_id),
                command=context.idempotency,
                result=result,
                within=store,
            )
        except ClaimTaken as refused:
            return taken(refused.kind)
        logger.info("user_created", user_id=account.user_id, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last, result=result)

    async def _store(
        self,
        account: Account,
        encoded: str,
        writes: list[Write],
        command: CreateUser,
        around: Surroundings,
        connection: asyncpg.Connection,
    ) -> None:
        asked = command.projects[: PROJECTS_MAX + 1]
        if await surroundings(connection, command.domain, asked, lock=True) != around:
            raise FactsChanged(account.user_id)
        await hold_assigned(connection, self._policies, writes)
        await account.store(connection, self._vault, encoded)
        await index(connection, writes)


def taken(kind: str) -> Rejection:
    """Return the refusal of a name that another user has."""
    what = "e-mail address" if kind == "email" else "user name"
    return conflict(f"{kind}_taken", f"Another user has this {what}.", field=kind)


def malformed_password() -> Rejection:
    """Return the refusal of a password that was not sealed by a peer of this installation."""
    return Rejection(
        kind="malformed",
        code="malformed_password",
        message="The password did not come sealed from a peer of this installation.",
    )
