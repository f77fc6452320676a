"""Creating users."""

from typing import Any, Final

from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.writes import Written
from shared.contracts.users import CreateUser, Role, UserStatus
from shared.eventlog.records import CommandKey
from shared.security.transport import open_secret_key, seal_password

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


async def create_user(
    gateway: Gateway, call: Call, body: CreateUserBody, key: CommandKey | None = None
) -> Written:
    """Create a user. The result holds `user_id`, `access_key` and, opened, `secret_key`."""
    command = CreateUser(
        email=body.email,
        username=body.username,
        sealed_password=seal_password(gateway.keyring, body.password),
        full_name=body.full_name,
        description=body.description,
        domain=body.domain,
        projects=await _projects(gateway, body),
        role=body.role,
        status=body.status,
        resource_policy=body.resource_policy,
        password_change_required=body.password_change_required,
        sudo_session_enabled=body.sudo_session_enabled,
    )
    written = await gateway.writes.perform(call, command, key)
    return written._replace(result=_opened(gateway, written.result))


async def _projects(gateway: Gateway, body: CreateUserBody) -> tuple[str, ...]:
    if body.projects is not None:
        return tuple(body.projects)
    found = await gateway.reads.pool.fetch(_DEFAULT_PROJECT, body.domain)
    return tuple(row[0] for row in found)


def _opened(gateway: Gateway, result: dict[str, Any]) -> dict[str, Any]:
    access_key, sealed = result["access_key"], result["sealed_secret_key"]
    gateway.secrets.put(access_key, sealed)
    return {
        "user_id": result["user_id"],
        "access_key": access_key,
        "secret_key": open_secret_key(gateway.keyring, access_key, sealed),
    }
