"""A project policy: the limits of one project. Null is unlimited, 0 is zero."""

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from services.policies.domain.limits import amount_errors, changes, created, refused
from services.policies.domain.maxima import Maxima, maximum_errors
from shared.contracts.base import Event
from shared.contracts.policies import (
    ChangeProjectPolicy,
    CreateProjectPolicy,
    PoliciesEvent,
    ProjectPolicyChanged,
    ProjectPolicyCreated,
    ProjectPolicyDeleted,
)
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found
from shared.kernel.slots import MAX_AMOUNT

NAME_MAX: Final = 255
_COUNTS: Final = ("max_folder_count", "max_network_count")


class ProjectPolicy(msgspec.Struct, frozen=True):
    """A policy in the words in which it could be created as it is now; None: there is none."""

    values: ProjectPolicyCreated | None = None


ProjectPolicyCommand: TypeAlias = CreateProjectPolicy | ChangeProjectPolicy
INITIAL: Final = ProjectPolicy()


def evolve(state: ProjectPolicy, event: Event) -> ProjectPolicy:
    """Return the policy after an event."""
    if isinstance(event, ProjectPolicyCreated):
        return ProjectPolicy(event)
    if isinstance(event, ProjectPolicyDeleted):
        return INITIAL
    if isinstance(event, ProjectPolicyChanged) and state.values is not None:
        return ProjectPolicy(msgspec.structs.replace(state.values, **changes(state.values, event)))
    return state


def decide(
    state: ProjectPolicy, command: ProjectPolicyCommand, context: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Create a policy, or change what is given and different, within the maxima."""
    if isinstance(command, CreateProjectPolicy):
        return _create(state, command, context)
    if state.values is None:
        return not_found("project_policy", command.name[:64])
    given = changes(state.values, command)
    errors = [*_errors(command), *maximum_errors(given, {}, context)]
    if errors:
        return refused(errors)
    return (ProjectPolicyChanged(name=command.name, **given),) if given else ()


def decide_deletion(state: ProjectPolicy, name: str) -> tuple[ProjectPolicyDeleted] | Rejection:
    """Delete a policy; that nothing uses it is for whoever asks to make sure."""
    if state.values is None:
        return not_found("project_policy", name[:64])
    return (ProjectPolicyDeleted(name=name),)


def _create(
    state: ProjectPolicy, command: CreateProjectPolicy, maxima: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    wish = created(ProjectPolicyCreated, command)
    errors = [
        *name_errors(command.name, NAME_MAX),
        *_errors(command),
        *maximum_errors(msgspec.structs.asdict(wish), {}, maxima),
    ]
    if errors:
        return refused(errors)
    if state.values is not None:
        text = f"There is a project policy '{command.name}' already."
        return conflict("policy_exists", text, field="name")
    return (wish,)


def _errors(command: ProjectPolicyCommand) -> Iterator[FieldError]:
    yield from amount_errors(command, *_COUNTS)
    yield from amount_errors(command, "max_quota_scope_size", most=MAX_AMOUNT)
