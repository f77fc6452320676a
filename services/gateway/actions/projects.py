"""Creating and changing projects."""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from services.gateway.actions.limits import (
    HostsPatch,
    RawHosts,
    RawLimits,
    hosts_of,
    limits_of,
    patched_hosts,
    patched_limits,
)
from services.gateway.auth.permissions import covers, forbidden, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import given
from services.gateway.http.problems import Refused
from services.gateway.reads.tenancy import PROJECTS
from services.gateway.writes import Written
from shared.contracts.users import ChangeProject, CreateProject, ProjectType
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection, not_found

READ_ONLY: Final = frozenset({"id", "name", "domain", "type", "created_at", "modified_at"})
_ADMINISTERS: Final = (
    "select true from memberships where project_id = $1 and user_id = $2 and role = 'admin'"
)

_ADMINISTERS_ANY: Final = (
    "select exists(select from memberships where user_id = $1 and role = 'admin')"
)


class CreateProjectBody(Body, frozen=True, kw_only=True):
    """A new project of a domain. Slots that are absent are unlimited."""

    name: str
    domain: str
    type: ProjectType
    description: str = ""
    is_active: bool = True
    resource_policy: str = "default"
    allowed_hosts: RawHosts = {}
    total_resource_slots: RawLimits = {}


class PatchProjectBody(Body, frozen=True, kw_only=True):
    """What can be changed of a project: a merge patch."""

    description: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    resource_policy: str | UnsetType = UNSET
    allowed_hosts: HostsPatch | UnsetType | None = UNSET
    total_resource_slots: RawLimits | UnsetType | None = UNSET


async def create_project(
    gateway: Gateway, call: Call, body: CreateProjectBody, key: CommandKey | None = None
) -> Written:
    """Create a project. The result holds `project_id`."""
    principal = call.caller()
    if not covers(
        scope_of(principal, "projects.create"), principal, owner=None, domain=body.domain
    ):
        raise Refused(not_found("domain", body.domain[:64]))
    command = CreateProject(
        domain=body.domain,
        name=body.name,
        project_type=body.type,
        description=body.description,
        is_active=body.is_active,
        resource_policy=body.resource_policy,
        allowed_hosts=hosts_of(body.allowed_hosts),
        total_resource_slots=limits_of(body.total_resource_slots),
    )
    return await gateway.writes.perform(call, command, key)


async def patch_project(
    gateway: Gateway,
    call: Call,
    project_id: str,
    body: PatchProjectBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a project."""
    found = await permitted(gateway, call.caller(), project_id, "projects.update")
    command = ChangeProject(
        project_id=project_id,
        description=given(body.description, ""),
        is_active=body.is_active,
        resource_policy=body.resource_policy,
        allowed_hosts=patched_hosts(found, body.allowed_hosts),
        total_resource_slots=patched_limits(found, body.total_resource_slots),
    )
    return await gateway.writes.perform(call, command, key)


async def permitted(
    gateway: Gateway, principal: Principal, project_id: str, action: str
) -> dict[str, Any]:
    """Return a project that the caller may do `action` to; raises Refused (404, 403).

    A project belongs to those who administer it: the scope "own" is theirs.
    """
    found = await gateway.reads.decoded(PROJECTS, principal, project_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    owner = None
    if await gateway.reads.pool.fetchval(_ADMINISTERS, project_id, principal.user_id):
        owner = principal.user_id
    if not covers(scope_of(principal, action), principal, owner=owner, domain=found["domain"]):
        raise Refused(forbidden(action))
    return found


async def administers_any(gateway: Gateway, principal: Principal) -> bool:
    """Tell whether the caller administers a project."""

    async def load() -> bool:
        found: bool = await gateway.reads.pool.fetchval(_ADMINISTERS_ANY, principal.user_id)
        return found

    return await gateway.reads.known(("administers", principal.user_id), ("users",), load)
