"""users: domains, projects, users, keypairs and log-in sessions.

Personal data (e-mail, names, descriptions) appears sealed under the person's own key; keypair
secrets and password hashes never appear.
"""

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from shared.contracts.base import Command, Event, Query, Sealed

Role = Literal["superadmin", "admin", "user", "monitor"]
UserStatus = Literal["active", "inactive", "before_verification"]
KeypairStatus = Literal["active", "inactive"]
ProjectType = Literal["general", "model-store"]
ProjectRole = Literal["member", "admin"]
LoginEnd = Literal["logout", "revoked", "expired"]


class DomainCreated(Event, frozen=True, tag="DomainCreated"):
    """A domain, the outermost tenant, exists."""

    AGGREGATE: ClassVar[str] = "domain"
    name: str
    description: str = ""

    def key(self) -> str:
        """Return the domain's name."""
        return self.name


class ProjectCreated(Event, frozen=True, tag="ProjectCreated"):
    """A project exists in a domain."""

    AGGREGATE: ClassVar[str] = "project"
    project_id: str
    domain: str
    name: str
    project_type: ProjectType
    description: str = ""
    resource_policy: str = "default"

    def key(self) -> str:
        """Return the project's id."""
        return self.project_id


class ProjectMemberAdded(Event, frozen=True, tag="ProjectMemberAdded"):
    """A user is a member of a project."""

    AGGREGATE: ClassVar[str] = "project"
    project_id: str
    user_id: str
    role: ProjectRole = "member"

    def key(self) -> str:
        """Return the project's id."""
        return self.project_id


class UserCreated(Event, frozen=True, tag="UserCreated"):
    """A person may use the cluster."""

    AGGREGATE: ClassVar[str] = "user"
    user_id: str
    email: Sealed
    username: Sealed
    full_name: Sealed
    description: Sealed
    domain: str
    role: Role
    status: UserStatus
    resource_policy: str
    password_change_required: bool = False
    sudo_session_enabled: bool = False

    def key(self) -> str:
        """Return the user's id."""
        return self.user_id


class KeypairIssued(Event, frozen=True, tag="KeypairIssued"):
    """A credential for programs exists; its secret stays sealed in the users service."""

    AGGREGATE: ClassVar[str] = "keypair"
    access_key: str
    user_id: str
    is_main: bool
    status: KeypairStatus
    resource_policy: str
    rate_limit: int | None

    def key(self) -> str:
        """Return the access key."""
        return self.access_key


class LoginStarted(Event, frozen=True, tag="LoginStarted"):
    """A bearer token was issued; only its SHA-256 (hex) is kept."""

    AGGREGATE: ClassVar[str] = "login"
    login_id: str
    user_id: str
    token_hash: str
    expires_at: datetime

    def key(self) -> str:
        """Return the log-in session's id."""
        return self.login_id


class LoginEnded(Event, frozen=True, tag="LoginEnded"):
    """A bearer token is no longer good."""

    AGGREGATE: ClassVar[str] = "login"
    login_id: str
    user_id: str
    reason: LoginEnd

    def key(self) -> str:
        """Return the log-in session's id."""
        return self.login_id


UsersEvent: TypeAlias = (
    DomainCreated
    | ProjectCreated
    | ProjectMemberAdded
    | UserCreated
    | KeypairIssued
    | LoginStarted
    | LoginEnded
)


class CreateUser(Command, frozen=True, tag="CreateUser"):
    """Create a user together with the first keypair, in one transaction.

    `sealed_password` is sealed under the installation's transport key. The result holds
    `user_id`, `access_key` and `sealed_secret_key` (transport key), for the creation answer only.
    """

    SERVICE: ClassVar = "users"
    email: str
    username: str
    sealed_password: Sealed
    full_name: str = ""
    description: str = ""
    domain: str = "default"
    projects: tuple[str, ...] = ()
    role: Role = "user"
    status: UserStatus = "active"
    resource_policy: str = "default"
    password_change_required: bool = False
    sudo_session_enabled: bool = False


class LogIn(Command, frozen=True, tag="LogIn"):
    """Check a password and issue a bearer token.

    The result holds `user_id`, `login_id`, `sealed_token` (transport key) and `expires_at`.
    """

    SERVICE: ClassVar = "users"
    email: str
    sealed_password: Sealed
    otp: str | None = None


class LogOut(Command, frozen=True, tag="LogOut"):
    """End one log-in session of a user."""

    SERVICE: ClassVar = "users"
    login_id: str
    user_id: str
    reason: LoginEnd = "logout"


UsersCommand: TypeAlias = CreateUser | LogIn | LogOut


class GetPersonKeys(Query, frozen=True, tag="GetPersonKeys"):
    """Ask for the keys that open some persons' data.

    Answer: `{"keys": {user_id: sealed key (transport key) | null when erased}}`.
    """

    SERVICE: ClassVar = "users"
    user_ids: tuple[str, ...]


class GetKeypairSecrets(Query, frozen=True, tag="GetKeypairSecrets"):
    """Ask for keypair secrets, to check signatures.

    Answer: `{"secrets": {access_key: sealed secret (transport key) | null when unknown}}`.
    """

    SERVICE: ClassVar = "users"
    access_keys: tuple[str, ...]


UsersQuery: TypeAlias = GetPersonKeys | GetKeypairSecrets
