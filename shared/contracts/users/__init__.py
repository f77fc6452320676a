"""users: domains, projects, users, keypairs and log-in sessions.

Personal data (e-mail, names, descriptions) appears sealed under the person's own key; keypair
secrets, one-time password seeds and password hashes never appear.
"""

from typing import ClassVar, TypeAlias

from shared.contracts.base import Query
from shared.contracts.users.keypairs import (
    ChangeKeypair,
    DeleteKeypair,
    GetKeypairSecrets,
    IssueKeypair,
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairEvent,
    KeypairIssued,
    KeypairPolicyAssigned,
    KeypairRateLimited,
    KeypairRateLimitSet,
    KeypairsCommand,
    KeypairSecretRevealed,
    KeypairsEvent,
    ReportRateLimited,
    ResealSecrets,
    RevealKeypair,
    SwitchMainKeypair,
)
from shared.contracts.users.logins import (
    LogIn,
    LoginEnded,
    LoginEvent,
    LoginsCommand,
    LoginsEvent,
    LoginStarted,
    LogOut,
    UserLoginBlocked,
)
from shared.contracts.users.people import (
    BeginTotp,
    ChangeOwnPassword,
    ChangeUser,
    ConfirmTotp,
    CreateUser,
    EraseUser,
    PeopleCommand,
    PeopleEvent,
    RemoveTotp,
    UserActivated,
    UserCreated,
    UserDeactivated,
    UserErased,
    UserEvent,
    UserFlagsChanged,
    UserMainKeypairSwitched,
    UserPasswordSet,
    UserPolicyAssigned,
    UserProfileChanged,
    UserRoleChanged,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.contracts.users.retirement import (
    PolicyReinstated,
    PolicyRetired,
    ReinstatePolicy,
    RetirementCommand,
    RetirementEvent,
    RetirePolicy,
)
from shared.contracts.users.tenants import (
    ChangeDomain,
    ChangeProject,
    CreateDomain,
    CreateProject,
    DomainChanged,
    DomainCreated,
    ProjectChanged,
    ProjectCreated,
    ProjectEvent,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    RemoveProjectMember,
    SetProjectMember,
    TenantCommand,
    TenantEvent,
)
from shared.contracts.users.types import (
    AllowedHosts,
    KeypairStatus,
    LoginEnd,
    ProjectRole,
    ProjectType,
    Role,
    UserStatus,
)

__all__ = [
    "AllowedHosts",
    "BeginTotp",
    "ChangeDomain",
    "ChangeKeypair",
    "ChangeOwnPassword",
    "ChangeProject",
    "ChangeUser",
    "ConfirmTotp",
    "CreateDomain",
    "CreateProject",
    "CreateUser",
    "DeleteKeypair",
    "DomainChanged",
    "DomainCreated",
    "EraseUser",
    "GetKeypairSecrets",
    "GetPersonKeys",
    "IssueKeypair",
    "KeypairActivated",
    "KeypairDeactivated",
    "KeypairDeleted",
    "KeypairEvent",
    "KeypairIssued",
    "KeypairPolicyAssigned",
    "KeypairRateLimitSet",
    "KeypairRateLimited",
    "KeypairSecretRevealed",
    "KeypairStatus",
    "KeypairsCommand",
    "KeypairsEvent",
    "LogIn",
    "LogOut",
    "LoginEnd",
    "LoginEnded",
    "LoginEvent",
    "LoginStarted",
    "LoginsCommand",
    "LoginsEvent",
    "PeopleCommand",
    "PeopleEvent",
    "PolicyReinstated",
    "PolicyRetired",
    "ProjectChanged",
    "ProjectCreated",
    "ProjectEvent",
    "ProjectMemberAdded",
    "ProjectMemberRemoved",
    "ProjectMemberRoleSet",
    "ProjectRole",
    "ProjectType",
    "ReinstatePolicy",
    "RemoveProjectMember",
    "RemoveTotp",
    "ReportRateLimited",
    "ResealSecrets",
    "RetirePolicy",
    "RetirementCommand",
    "RetirementEvent",
    "RevealKeypair",
    "Role",
    "SetProjectMember",
    "SwitchMainKeypair",
    "TenantCommand",
    "TenantEvent",
    "UserActivated",
    "UserCreated",
    "UserDeactivated",
    "UserErased",
    "UserEvent",
    "UserFlagsChanged",
    "UserLoginBlocked",
    "UserMainKeypairSwitched",
    "UserPasswordSet",
    "UserPolicyAssigned",
    "UserProfileChanged",
    "UserRoleChanged",
    "UserStatus",
    "UserTotpDisabled",
    "UserTotpEnabled",
    "UsersCommand",
    "UsersEvent",
    "UsersQuery",
]


class GetPersonKeys(Query, frozen=True, tag="GetPersonKeys"):
    """Ask for the keys that open some persons' data.

    Answer: `{"keys": {user_id: sealed key (transport key) | null when erased}}`.
    """

    SERVICE: ClassVar = "users"
    user_ids: tuple[str, ...]


UsersEvent: TypeAlias = TenantEvent | PeopleEvent | KeypairsEvent | LoginsEvent | RetirementEvent
UsersCommand: TypeAlias = (
    PeopleCommand | KeypairsCommand | LoginsCommand | TenantCommand | RetirementCommand
)
UsersQuery: TypeAlias = GetPersonKeys | GetKeypairSecrets
