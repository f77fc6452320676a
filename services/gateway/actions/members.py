"""Who belongs to a project, and with which part."""

from services.gateway.actions.projects import permitted
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.writes import Written
from shared.contracts.users import ProjectRole, RemoveProjectMember, SetProjectMember
from shared.eventlog.records import CommandKey


class PutMemberBody(Body, frozen=True, kw_only=True):
    """A user's part in a project."""

    role: ProjectRole = "member"


async def set_member(
    gateway: Gateway,
    call: Call,
    project_id: str,
    user_id: str,
    body: PutMemberBody,
    key: CommandKey | None = None,
) -> Written:
    """Make a user a member, or give a member another role."""
    await permitted(gateway, call.caller(), project_id, "projects.members")
    command = SetProjectMember(project_id=project_id, user_id=user_id, role=body.role)
    return await gateway.writes.perform(call, command, key)


async def remove_member(
    gateway: Gateway, call: Call, project_id: str, user_id: str, key: CommandKey | None = None
) -> Written:
    """End a membership."""
    await permitted(gateway, call.caller(), project_id, "projects.members")
    command = RemoveProjectMember(project_id=project_id, user_id=user_id)
    return await gateway.writes.perform(call, command, key)
