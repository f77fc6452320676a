"""A user policy: the limits of one user over all keypairs. Null is unlimited, 0 is zero."""

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from services.policies.domain.limits import amount_errors, changes, created, refused
from services.policies.domain.maxima import Maxima, maximum_errors
from shared.contracts.base import Event
from shared.contracts.policies import (
    ChangeUserPolicy,
    CreateUserPolicy,
    PoliciesEvent,
    UserPolicyChanged,
    UserPolicyCreated,
    UserPolicyDeleted,
)
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found
from shared.kernel.slots import MAX_AMOUNT

NAME_MAX: Final = 255
_COUNTS: Final = (
    "max_folder_count",
    "max_session_count_per_model_session",
    "max_customized_image_count",
)


class UserPolicy(msgspec.Struct, frozen=True):
    """A policy in the words in which it could be created as it is now; None: there is none."""

    values: UserPolicyCreated | None = None


UserPolicyCommand: TypeAlias = CreateUserPolicy | ChangeUserPolicy
INITIAL: Final = UserPolicy()


def evolve(state: UserPolicy, event: Event) -> UserPolicy:
    """Return the policy after an event."""
    if isinstance(event, UserPolicyCreated):
        return UserPolicy(event)
    if isinstance(event, UserPolicyDeleted):
        return INITIAL
    if isinstance(event, UserPolicyChanged) and state.values is not None:
        return UserPolicy(msgspec.structs.replace(state.values, **changes(state.values, event)))
    return state


def decide(
    state: UserPolicy, command: UserPolicyCommand, context: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Create a policy, or change what is given and different, within the maxima."""
    if isinstance(command, CreateUserPolicy):
        return _create(state, command, context)
    if state.values is None:
        return not_found("user_policy", command.name[:64])
    given = changes(state.values, command)
    errors = [*_errors(command), *maximum_errors(given, {}, context)]
    if errors:
        return refused(errors)
    return (UserPolicyChanged(name=command.name, **given),) if given else ()


def decide_deletion(state: UserPolicy, name: str) -> tuple[UserPolicyDeleted] | Rejection:
    """Delete a policy; that nothing uses it is for whoever asks to make sure."""
    if state.values is None:
        return not_found("user_policy", name[:64])
    return (UserPolicyDeleted(name=name),)


def _create(
    state: UserPolicy, command: CreateUserPolicy, maxima: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    wish = created(UserPolicyCreated, command)
    errors = [
        *name_errors(command.name, NAME_MAX),
        *_errors(command),
        *maximum_errors(msgspec.structs.asdict(wish), {}, maxima),
    ]
    if errors:
        return refused(errors)
    if state.values is not None:
        text = f"There is a user policy '{command.name}' already."
        return conflict("policy_exists", text, field="name")
    return (wish,)


def _errors(command: UserPolicyCommand) -> Iterator[FieldError]:
    yield from amount_errors(command, *_COUNTS)
    yield from amount_errors(command, "max_quota_scope_size", most=MAX_AMOUNT)
