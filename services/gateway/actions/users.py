"""Creating and changing users."""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import given
from services.gateway.writes import Written
from shared.contracts.users import (
    ChangeUser,
    CreateUser,
    EraseUser,
    Role,
    UserActivated,
    UserDeactivated,
    UserRoleChanged,
    UserStatus,
)
from shared.eventlog.records import CommandKey
from shared.security.transport import open_secret_key, seal_password

READ_ONLY: Final = frozenset(
    {
        "id",
        "email",
        "domain",
        "main_access_key",
        "last_login_at",
        "login_blocked_until",
        "erased",
        "created_at",
        "modified_at",
    }
)
_DEFAULT_PROJECT: Final = (
    "select id from projects where domain = $1 and name = 'default' and type = 'general'"
)


class CreateUserBody(Body, frozen=True, kw_only=True):
    """A new user; a first keypair is made in the same step.

    Without `projects` the user becomes a member of the domain's project `default`.
    """

    email: str
    username: str
    password: str
    full_name: str = ""
    description: str = ""
    domain: str = "default"
    projects: list[str] | None = None
    role: Role = "user"
    status: UserStatus = "active"
    resource_policy: str = "default"
    password_change_required: bool = False
    sudo_session_enabled: bool = False


class PatchUserBody(Body, frozen=True, kw_only=True):
    """What can be changed of a user: a merge patch.

    `projects` replaces the memberships; `totp_enabled` can only be set to false.
    """

    username: str | UnsetType = UNSET
    full_name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    password: str | UnsetType = UNSET
    status: UserStatus | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    projects: list[str] | UnsetType | None = UNSET
    resource_policy: str | UnsetType = UNSET
    password_change_required: bool | UnsetType = UNSET
    sudo_session_enabled: bool | UnsetType = UNSET
    totp_enabled: bool | UnsetType = UNSET


async def create_user(
    gateway: Gateway, call: Call, body: CreateUserBody, key: CommandKey | None = None
) -> Written:
    """Create a user. The result holds `user_id`, `access_key` and, opened, `secret_key`."""
    if body.projects is None:
        projects = await default_projects(gateway, body.domain)
    else:
        projects = tuple(body.projects)
    command = create_command(gateway, body, projects)
    written = await gateway.writes.perform(call, command, key)
    return written._replace(result=_opened(gateway, written.result))


def create_command(gateway: Gateway, body: CreateUserBody, projects: tuple[str, ...]) -> CreateUser:
    """Return the command that creates a user as a member of these projects."""
    return CreateUser(
        email=body.email,
        username=body.username,
        sealed_password=seal_password(gateway.keyring, body.password),
        full_name=body.full_name,
        description=body.description,
        domain=body.domain,
        projects=projects,
        role=body.role,
        status=body.status,
        resource_policy=body.resource_policy,
        password_change_required=body.password_change_required,
        sudo_session_enabled=body.sudo_session_enabled,
    )


async def default_projects(gateway: Gateway, domain: str) -> tuple[str, ...]:
    """Return the project `default` of a domain, if there is one."""
    found = await gateway.reads.pool.fetch(_DEFAULT_PROJECT, domain)
    return tuple(row[0] for row in found)


async def patch_user(
    gateway: Gateway, call: Call, user_id: str, body: PatchUserBody, key: CommandKey | None = None
) -> Written:
    """Change what is given of a user, all of it or nothing."""
    password: str | UnsetType = UNSET
    if isinstance(body.password, str):
        password = seal_password(gateway.keyring, body.password)
    projects = given(body.projects, [])
    command = ChangeUser(
        user_id=user_id,
        username=body.username,
        full_name=given(body.full_name, ""),
        description=given(body.description, ""),
        sealed_password=password,
        status=body.status,
        role=body.role,
        projects=projects if isinstance(projects, UnsetType) else tuple(projects),
        resource_policy=body.resource_policy,
        password_change_required=body.password_change_required,
        sudo_session_enabled=body.sudo_session_enabled,
        totp_enabled=body.totp_enabled,
    )
    return await _change(gateway, call, command, key)


async def set_status(
    gateway: Gateway, call: Call, user_id: str, status: UserStatus, key: CommandKey | None = None
) -> Written:
    """Let a user in, or keep a user out; keypairs keep their own state."""
    return await _change(gateway, call, ChangeUser(user_id=user_id, status=status), key)


async def _change(
    gateway: Gateway, call: Call, command: ChangeUser, key: CommandKey | None
) -> Written:
    """Change a user; a new status or role holds for the very next request."""
    written = await gateway.writes.perform(call, command, key)
    user_id = command.user_id
    if command.status == "active":
        gateway.directory.foresee(written.position, UserActivated(user_id=user_id))
    elif command.status == "inactive":
        gateway.directory.foresee(written.position, UserDeactivated(user_id=user_id))
    if not isinstance(command.role, UnsetType):
        changed = UserRoleChanged(user_id=user_id, role=command.role)
        gateway.directory.foresee(written.position, changed)
    return written


async def erase_user(
    gateway: Gateway, call: Call, user_id: str, key: CommandKey | None = None
) -> Written:
    """Erase what is known of a person, for ever; the user must be deactivated."""
    return await gateway.writes.perform(call, EraseUser(user_id=user_id), key)


def _opened(gateway: Gateway, result: dict[str, Any]) -> dict[str, Any]:
    access_key, sealed = result["access_key"], result["sealed_secret_key"]
    gateway.secrets.put(access_key, sealed)
    return {
        "user_id": result["user_id"],
        "access_key": access_key,
        "secret_key": open_secret_key(gateway.keyring, access_key, sealed),
    }
