"""Everything that the users service answers: its commands and its peers' queries."""

from typing import Final

from services.users.changes import UserChanges
from services.users.creation import UserCreation
from services.users.erasure import Erasure
from services.users.keypairs import Keypairs
from services.users.logins import Logins
from services.users.passwords import Passwords
from services.users.resealing import Resealing
from services.users.retirement import Retirement
from services.users.tenancy import Tenancy
from services.users.totp import Totp
from services.users.vault import Vault
from shared.contracts.base import Sealed
from shared.contracts.users import (
    BeginTotp,
    ChangeDomain,
    ChangeKeypair,
    ChangeOwnPassword,
    ChangeProject,
    ChangeUser,
    ConfirmTotp,
    CreateDomain,
    CreateProject,
    CreateUser,
    DeleteKeypair,
    EraseUser,
    GetKeypairSecrets,
    GetPersonKeys,
    IssueKeypair,
    LogIn,
    LogOut,
    ReinstatePolicy,
    RemoveProjectMember,
    RemoveTotp,
    ReportRateLimited,
    ResealSecrets,
    RetirePolicy,
    RevealKeypair,
    SetProjectMember,
    SwitchMainKeypair,
)
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandServer
from shared.messaging.queries import QueryServer

KEYS_MAX: Final = 1000


class PeerQueries:
    """Answers the gateway's questions for keys; each value is sealed for transport."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def person_keys(
        self, query: GetPersonKeys
    ) -> dict[str, dict[str, Sealed | None]] | Rejection:
        """Return `{"keys": {user_id: sealed key, or null when erased or unknown}}`."""
        if len(query.user_ids) > KEYS_MAX:
            return _too_many()
        return {"keys": await self._vault.person_keys(query.user_ids)}

    async def keypair_secrets(
        self, query: GetKeypairSecrets
    ) -> dict[str, dict[str, Sealed | None]] | Rejection:
        """Return `{"secrets": {access_key: sealed secret, or null when unknown}}`.

        Secrets of inactive keypairs are given too: that one is inactive may be told only to
        somebody who has proved to hold it.
        """
        if len(query.access_keys) > KEYS_MAX:
            return _too_many()
        return {"secrets": await self._vault.secret_keys(query.access_keys)}


def serve_logins(commands: CommandServer, logins: Logins, passwords: Passwords, totp: Totp) -> None:
    """Register what people do with their own log-in."""
    commands.handle(LogIn, logins.log_in)
    commands.handle(LogOut, logins.log_out)
    commands.handle(ChangeOwnPassword, passwords.change_own)
    commands.handle(BeginTotp, totp.begin)
    commands.handle(ConfirmTotp, totp.confirm)
    commands.handle(RemoveTotp, totp.remove)


def serve_people(
    commands: CommandServer,
    creation: UserCreation,
    changes: UserChanges,
    erasure: Erasure,
    tenancy: Tenancy,
    retirement: Retirement,
) -> None:
    """Register what becomes of users, domains, projects and the names of policies."""
    commands.handle(CreateUser, creation.create)
    commands.handle(ChangeUser, changes.change)
    commands.handle(EraseUser, erasure.erase)
    commands.handle(CreateDomain, tenancy.change_domain)
    commands.handle(ChangeDomain, tenancy.change_domain)
    commands.handle(CreateProject, tenancy.create_project)
    commands.handle(ChangeProject, tenancy.change_project)
    commands.handle(SetProjectMember, tenancy.change_member)
    commands.handle(RemoveProjectMember, tenancy.change_member)
    commands.handle(RetirePolicy, retirement.retire)
    commands.handle(ReinstatePolicy, retirement.reinstate)


async def serve(
    commands: CommandServer,
    queries: QueryServer,
    keypairs: Keypairs,
    resealing: Resealing,
    peers: PeerQueries,
) -> None:
    """Register every other handler."""
    commands.handle(IssueKeypair, keypairs.issue)
    commands.handle(ChangeKeypair, keypairs.change)
    commands.handle(SwitchMainKeypair, keypairs.switch_main)
    commands.handle(DeleteKeypair, keypairs.delete)
    commands.handle(RevealKeypair, keypairs.reveal)
    commands.handle(ReportRateLimited, keypairs.report_limited)
    commands.handle(ResealSecrets, resealing.reseal)
    await queries.answer(GetPersonKeys, peers.person_keys)
    await queries.answer(GetKeypairSecrets, peers.keypair_secrets)


def _too_many() -> Rejection:
    return Rejection(
        kind="malformed", code="too_many", message=f"Ask for at most {KEYS_MAX} keys at once."
    )
