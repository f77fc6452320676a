"""A project: a group of users in one domain. Who belongs to it is `membership`'s."""

from typing import TypeAlias

import msgspec

from services.users.domain.refusals import refused
from services.users.domain.tenants import (
    NAME_MAX,
    description_errors,
    slot_errors,
)
from shared.contracts.base import Event, Limits
from shared.contracts.users import (
    ChangeProject,
    CreateProject,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectType,
    UsersEvent,
)
from shared.contracts.users.types import AllowedHosts
from shared.kernel.changes import differing
from shared.kernel.hosts import host_errors
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found

_CHANGEABLE = (
    "description",
    "is_active",
    "resource_policy",
    "allowed_hosts",
    "total_resource_slots",
)


class Project(msgspec.Struct, frozen=True):
    """What is known of a project; `project_id` is None before it exists."""

    project_id: str | None = None
    domain: str = ""
    name: str = ""
    project_type: ProjectType = "general"
    description: str = ""
    is_active: bool = True
    resource_policy: str = "default"
    allowed_hosts: AllowedHosts = {}
    total_resource_slots: Limits = {}


class NewProject(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that a creation is decided on.

    `domain_active` is None when there is no such domain; `joining` are those who belong to a
    model-store project from its first moment.
    """

    project_id: str
    domain_active: bool | None
    name_taken: bool = False
    policy_exists: bool = True
    joining: tuple[str, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """The facts that a change is decided on."""

    policy_exists: bool = True


ProjectCommand: TypeAlias = CreateProject | ChangeProject
ProjectFacts: TypeAlias = NewProject | Change
INITIAL = Project()


def evolve(state: Project, event: Event) -> Project:
    """Return the project after an event."""
    if isinstance(event, ProjectCreated):
        return Project(
            project_id=event.project_id,
            domain=event.domain,
            name=event.name,
            project_type=event.project_type,
            description=event.description,
            is_active=event.is_active,
            resource_policy=event.resource_policy,
            allowed_hosts=event.allowed_hosts,
            total_resource_slots=event.total_resource_slots,
        )
    if isinstance(event, ProjectChanged):
        return msgspec.structs.replace(state, **differing(state, event, *_CHANGEABLE))
    return state


def decide(
    state: Project, command: ProjectCommand, context: ProjectFacts
) -> tuple[UsersEvent, ...] | Rejection:
    """Create a project once, or change what is given and different."""
    if isinstance(command, CreateProject):
        if not isinstance(context, NewProject):
            raise TypeError("a creation is decided on the facts of a new project")
        return _create(state, command, context)
    return _change(state, command, context)


def _create(
    state: Project, command: CreateProject, facts: NewProject
) -> tuple[UsersEvent, ...] | Rejection:
    errors = [
        *name_errors(command.name, NAME_MAX),
        *_errors(command, policy_exists=facts.policy_exists),
    ]
    if facts.domain_active is None:
        text = f"There is no domain '{command.domain[:64]}'."
        errors.append(FieldError("domain", "unknown_domain", text))
    elif not facts.domain_active:
        text = "The domain is not active: nobody and nothing new enters it."
        errors.append(FieldError("domain", "domain_inactive", text))
    if errors:
        return refused(errors)
    if state.project_id is not None or facts.name_taken:
        text = f"The domain has a project '{command.name}' already."
        return conflict("project_exists", text, field="name")
    created = ProjectCreated(
        project_id=facts.project_id,
        domain=command.domain,
        name=command.name,
        project_type=command.project_type,
        description=command.description,
        resource_policy=command.resource_policy,
        is_active=command.is_active,
        allowed_hosts=command.allowed_hosts,
        total_resource_slots=command.total_resource_slots,
    )
    joined = facts.joining if command.project_type == "model-store" else ()
    members = [ProjectMemberAdded(project_id=facts.project_id, user_id=user) for user in joined]
    return (created, *members)


def _change(
    state: Project, command: ChangeProject, facts: ProjectFacts
) -> tuple[UsersEvent, ...] | Rejection:
    if state.project_id is None:
        return not_found("project", command.project_id[:64])
    errors = _errors(command, policy_exists=facts.policy_exists)
    if errors:
        return refused(errors)
    changed = differing(state, command, *_CHANGEABLE)
    return (ProjectChanged(project_id=state.project_id, **changed),) if changed else ()


def _errors(command: ProjectCommand, *, policy_exists: bool) -> tuple[FieldError, ...]:
    errors = (
        *description_errors(command.description),
        *host_errors(command.allowed_hosts),
        *slot_errors(command.total_resource_slots),
    )
    if policy_exists:
        return errors
    text = f"There is no project policy '{str(command.resource_policy)[:64]}'."
    return (*errors, FieldError("resource_policy", "unknown_policy", text))
