"""The first start: the default domain with its projects, and the first administrator.

Each of the two is one transaction under a claim, so a crash in between, a second start or two
processes at once still make each exactly once. What exists already is never changed.
"""

from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from services.users import directory
from services.users.account import Account, claims_of, decide_account, fingerprints
from services.users.directory import MODEL_STORE
from services.users.domain import domain, project
from services.users.domain.keypair import ADMINISTRATOR_RATE_LIMIT
from services.users.domain.user import NewUser
from services.users.indexing import index
from services.users.vault import Vault
from shared.contracts.base import Actor, Meta
from shared.contracts.users import (
    CreateDomain,
    CreateProject,
    CreateUser,
    ProjectType,
    UsersEvent,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken, StreamConflict
from shared.eventlog.records import Claim, Write
from shared.eventlog.writing import Within
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.observability.logging import get_logger
from shared.security.passwords import PasswordHasher
from shared.security.rules import check_password
from shared.security.sealing import Keyring

DOMAIN: Final = "default"
POLICY: Final = "default"
PROJECTS: Final[tuple[tuple[str, ProjectType], ...]] = (
    ("default", "general"),
    ("model-store", MODEL_STORE),
)
INSTALLATION: Final = "installation"
logger = get_logger(__name__)


class BootstrapError(Exception):
    """The credentials file cannot be read or breaks a rule; the text shows none of its values."""


class AdminCredentials(msgspec.Struct, frozen=True):
    """The credentials file; `endpoint` is for whoever reads it, not for us."""

    email: str
    password: str
    access_key: str
    secret_key: str
    endpoint: str = ""

    def __repr__(self) -> str:
        """Return nothing of the content."""
        return "<AdminCredentials>"


def read_credentials(path: Path) -> AdminCredentials:
    """Read the file that the launcher made; BootstrapError when it is not what it should be."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=AdminCredentials)
    except OSError as error:
        raise BootstrapError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BootstrapError(f"{path} is not a credentials file") from error


class Bootstrap:
    """Makes what an installation cannot be without."""

    def __init__(self, log: EventLog, keyring: Keyring, hasher: PasswordHasher) -> None:
        self._log = log
        self._keyring = keyring
        self._hasher = hasher
        self._vault = Vault(log.pool, keyring)

    async def run(self, credentials_file: Path | None) -> None:
        """Do what has not been done yet; without a file no administrator is made."""
        if await self._log.owner_of(INSTALLATION, "tenancy") is None:
            await self._make_tenancy()
        if await self._log.owner_of(INSTALLATION, "administrator") is not None:
            return
        if credentials_file is None:
            logger.warning("no_administrator", hint="set QM_BOOTSTRAP_FILE for the first start")
            return
        await self._make_administrator(read_credentials(credentials_file))

    async def _make_tenancy(self) -> None:
        wish = CreateDomain(name=DOMAIN)
        writes = [_write(stream_name("domain", DOMAIN), domain.decide(domain.INITIAL, wish))]
        for name, project_type in PROJECTS:
            made = CreateProject(domain=DOMAIN, name=name, project_type=project_type)
            facts = project.NewProject(project_id=new_id(), domain_active=True)
            decided = project.decide(project.INITIAL, made, facts)
            writes.append(_write(stream_name("project", facts.project_id), decided))
        await self._append("tenancy", DOMAIN, writes, [], partial(index, writes=writes))

    async def _make_administrator(self, given: AdminCredentials) -> None:
        account = Account.draw(given.access_key, given.secret_key)
        command = CreateUser(
            email=given.email,
            username="admin",
            sealed_password="",
            full_name="Administrator",
            domain=DOMAIN,
            role="superadmin",
            resource_policy=POLICY,
        )
        default_project = await directory.project_named(self._log.pool, DOMAIN, PROJECTS[0][0])
        asked = [] if default_project is None else [default_project]
        around = await directory.surroundings(self._log.pool, DOMAIN, asked)
        facts = NewUser(
            user_id=account.user_id,
            profile=account.seal_profile(command),
            domain_active=around.domain_active,
            projects=around.projects,
            policy_exists=True,  # the policies service makes it at its own first start
            password_error=check_password(given.password),
        )
        writes = decide_account(
            account,
            command,
            facts,
            POLICY,
            dict.fromkeys((*around.projects, *around.stores)),
            rate_limit=ADMINISTRATOR_RATE_LIMIT,
        )
        encoded = await self._hasher.hash(given.password)
        if isinstance(writes, Rejection) or isinstance(encoded, Rejection):
            refusal = writes if isinstance(writes, Rejection) else encoded
            raise BootstrapError(f"the first administrator is refused: {refusal}")

        async def store(connection: asyncpg.Connection) -> None:
            await account.store(connection, self._vault, encoded)
            await index(connection, writes)

        claims = claims_of(fingerprints(self._keyring, command), account.user_id)
        await self._append("administrator", account.user_id, writes, claims, store)

    async def _append(
        self, what: str, owner: str, writes: list[Write], claims: list[Claim], within: Within
    ) -> None:
        meta = Meta(actor=Actor(kind="service", id="users"), correlation_id=new_id())
        claim = Claim(INSTALLATION, what, f"{owner} {meta.correlation_id}")
        try:
            await self._log.append(writes, meta, claims=[claim, *claims], within=within)
        except (ClaimTaken, StreamConflict, asyncpg.UniqueViolationError):
            # Another process was faster. Anything else in the way shows itself now.
            if await self._log.owner_of(INSTALLATION, what) is None:
                raise
        logger.info("bootstrapped", what=what)


def _write(stream: str, outcome: tuple[UsersEvent, ...] | Rejection) -> Write:
    if isinstance(outcome, Rejection):
        raise BootstrapError(outcome.message)
    return Write(stream, 0, outcome)
