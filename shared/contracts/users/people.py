"""Users: events and commands.

Personal data (e-mail, names, descriptions) appears sealed under the person's own key; passwords
and one-time password seeds never appear.
"""

from typing import ClassVar, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from shared.contracts.base import Command, Event, Sealed
from shared.contracts.users.types import Role, UserStatus


class UserEvent(Event, frozen=True):
    """What the events of a user have in common."""

    AGGREGATE: ClassVar[str] = "user"
    user_id: str

    def key(self) -> str:
        """Return the user's id."""
        return self.user_id


class UserCreated(UserEvent, frozen=True, tag="UserCreated"):
    """A person may use the cluster."""

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


class UserProfileChanged(UserEvent, frozen=True, tag="UserProfileChanged"):
    """A user is called or described differently; what is absent has not changed."""

    username: Sealed | UnsetType = UNSET
    full_name: Sealed | UnsetType = UNSET
    description: Sealed | UnsetType = UNSET


class UserFlagsChanged(UserEvent, frozen=True, tag="UserFlagsChanged"):
    """A switch of a user is set differently; what is absent has not changed."""

    password_change_required: bool | UnsetType = UNSET
    sudo_session_enabled: bool | UnsetType = UNSET


class UserActivated(UserEvent, frozen=True, tag="UserActivated"):
    """A user may log in and use keypairs (again)."""


class UserDeactivated(UserEvent, frozen=True, tag="UserDeactivated"):
    """A user may neither log in nor use any key or token; those keep their own state."""


class UserRoleChanged(UserEvent, frozen=True, tag="UserRoleChanged"):
    """A user has another role."""

    role: Role


class UserPolicyAssigned(UserEvent, frozen=True, tag="UserPolicyAssigned"):
    """A user policy holds for a user."""

    resource_policy: str


class UserPasswordSet(UserEvent, frozen=True, tag="UserPasswordSet"):
    """A user has another password; nothing of it is told."""

    by: Literal["self", "administrator"]


class UserMainKeypairSwitched(UserEvent, frozen=True, tag="UserMainKeypairSwitched"):
    """Another keypair of a user is the main one, used where none is named."""

    access_key: str
    previous: str | None = None


class UserTotpEnabled(UserEvent, frozen=True, tag="UserTotpEnabled"):
    """A user's log-in needs a one-time password from now on."""


class UserTotpDisabled(UserEvent, frozen=True, tag="UserTotpDisabled"):
    """A user's log-in needs no one-time password any more."""

    by: Literal["self", "administrator"]


class UserErased(UserEvent, frozen=True, tag="UserErased"):
    """A person's key is gone: what was said of the person cannot be read any more, anywhere."""


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


class ChangeUser(Command, frozen=True, tag="ChangeUser"):
    """Change what is given of a user, all of it or nothing.

    `projects` replaces the memberships (model-store projects of the domain stay); `totp_enabled`
    may only be false. Refused: deactivating or demoting oneself (the command's actor), or the last
    active superadmin (409 `last_superadmin`, 403 `own_account`).
    """

    SERVICE: ClassVar = "users"
    user_id: str
    username: str | UnsetType = UNSET
    full_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    sealed_password: Sealed | UnsetType = UNSET
    status: UserStatus | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    projects: tuple[str, ...] | UnsetType = UNSET
    resource_policy: str | UnsetType = UNSET
    password_change_required: bool | UnsetType = UNSET
    sudo_session_enabled: bool | UnsetType = UNSET
    totp_enabled: bool | UnsetType = UNSET


class ChangeOwnPassword(Command, frozen=True, tag="ChangeOwnPassword"):
    """Set one's own password, knowing the old one; all one's other log-in sessions end.

    It clears `password_change_required`. A wrong old password is 422 `old_password_wrong`.
    """

    SERVICE: ClassVar = "users"
    user_id: str
    sealed_old: Sealed
    sealed_new: Sealed
    keep_login_id: str | None = None


class BeginTotp(Command, frozen=True, tag="BeginTotp"):
    """Draw a new seed of one-time passwords; it counts once a code of it is confirmed.

    The result holds `sealed_secret` (base32, transport key).
    """

    SERVICE: ClassVar = "users"
    user_id: str


class ConfirmTotp(Command, frozen=True, tag="ConfirmTotp"):
    """Switch one-time passwords on, showing a code of the seed drawn last."""

    SERVICE: ClassVar = "users"
    user_id: str
    code: str


class RemoveTotp(Command, frozen=True, tag="RemoveTotp"):
    """Switch one's own one-time passwords off, showing a code."""

    SERVICE: ClassVar = "users"
    user_id: str
    code: str


class EraseUser(Command, frozen=True, tag="EraseUser"):
    """Erase the personal data of a deactivated user for ever; history stays valid."""

    SERVICE: ClassVar = "users"
    user_id: str


PeopleEvent: TypeAlias = (
    UserCreated
    | UserProfileChanged
    | UserFlagsChanged
    | UserActivated
    | UserDeactivated
    | UserRoleChanged
    | UserPolicyAssigned
    | UserPasswordSet
    | UserMainKeypairSwitched
    | UserTotpEnabled
    | UserTotpDisabled
    | UserErased
)
PeopleCommand: TypeAlias = (
    CreateUser | ChangeUser | ChangeOwnPassword | BeginTotp | ConfirmTotp | RemoveTotp | EraseUser
)
