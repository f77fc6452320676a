"""CreateUser: a user with the first keypair, in one transaction."""

from functools import partial
from typing import Final

import asyncpg

from services.users.account import Account, claims_of, decide_account, fingerprints
from services.users.directory import Directory
from services.users.domain.user import PROJECTS_MAX, NewUser
from services.users.indexing import index
from services.users.known_policies import KnownPolicies
from services.users.vault import Vault
from shared.contracts.base import Accepted
from shared.contracts.users import CreateUser
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken, CommandRepeated, IdempotencyMismatch
from shared.eventlog.records import Write
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection, conflict, unavailable
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher
from shared.security.rules import check_password
from shared.security.sealing import Keyring, SealBroken
from shared.security.transport import open_password, seal_secret_key

SERVICE: Final = "users"
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
        self._directory = Directory(log.pool)

    async def create(self, command: CreateUser, context: CommandContext) -> Outcome:
        """Create the user, or refuse with every field that breaks a rule, or with a conflict."""
        try:
            return await self._first_answer(context) or await self._created(command, context)
        except CommandRepeated as repeated:
            return Accepted(
                service=SERVICE, position=repeated.done.position, result=repeated.done.result
            )
        except IdempotencyMismatch as mismatch:
            return mismatch.rejection
        except SealBroken:
            return malformed_password()

    async def _created(self, command: CreateUser, context: CommandContext) -> Outcome:
        try:
            outcome = await self._create(command, context)
        except ClaimTaken as taken:
            outcome = _taken(taken.kind)
        if isinstance(outcome, Rejection) and outcome.kind == "conflict":
            # whoever holds the name may be this very command, repeated while it was being done
            return await self._first_answer(context) or outcome
        return outcome

    async def _first_answer(self, context: CommandContext) -> Accepted | None:
        if context.idempotency is None:
            return None
        done = await self._log.find_command(context.idempotency)
        if done is None:
            return None
        return Accepted(service=SERVICE, position=done.position, result=done.result)

    async def _create(self, command: CreateUser, context: CommandContext) -> Outcome:
        policy = self._policies.default_keypair_policy
        if not self._policies.is_seeded or policy is None:
            return unavailable("policies_unknown", "The policies are not known yet; try again.", 2)
        password = open_password(self._keyring, command.sealed_password)
        account = Account.draw()
        place = await self._directory.place(command.domain, command.projects[: PROJECTS_MAX + 1])
        facts = NewUser(
            user_id=account.user_id,
            profile=account.seal_profile(command),
            domain_exists=place.domain_exists,
            projects=place.asked,
            policy_exists=self._policies.has_user_policy(command.resource_policy),
            password_error=check_password(password),
        )
        projects = dict.fromkeys((*command.projects, *place.stores))
        writes = decide_account(account, command, facts, policy, projects)
        if isinstance(writes, Rejection):
            return writes
        return await self._write(command, context, account, writes, password)

    async def _write(
        self,
        command: CreateUser,
        context: CommandContext,
        account: Account,
        writes: list[Write],
        password: str,
    ) -> Outcome:
        names = fingerprints(self._keyring, command)
        for kind, value in names.items():  # before the expensive part; the append decides races
            if await self._log.owner_of(kind, value) is not None:
                return _taken(kind)
        remaining_s = context.remaining_s(self._clock.now())
        encoded = await self._hasher.hash(password, wait_s=remaining_s)
        if isinstance(encoded, Rejection):
            return encoded
        result: dict[str, object] = {
            "user_id": account.user_id,
            "access_key": account.access_key,
            "sealed_secret_key": seal_secret_key(
                self._keyring, account.access_key, account.secret_key
            ),
        }
        appended = await self._log.append(
            writes,
            context.meta,
            claims=claims_of(names, account.user_id),
            command=context.idempotency,
            result=result,
            within=partial(self._store, account, encoded, writes),
        )
        logger.info("user_created", user_id=account.user_id, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last, result=result)

    async def _store(
        self, account: Account, encoded: str, writes: list[Write], connection: asyncpg.Connection
    ) -> None:
        await account.store(connection, self._vault, encoded)
        await index(connection, writes)


def _taken(kind: str) -> Rejection:
    what = "e-mail address" if kind == "email" else "user name"
    return conflict(f"{kind}_taken", f"Another user has this {what}.", field=kind)


def malformed_password() -> Rejection:
    """Return the refusal of a password that was not sealed by a peer of this installation."""
    return Rejection(
        kind="malformed",
        code="malformed_password",
        message="The password did not come sealed from a peer of this installation.",
    )
