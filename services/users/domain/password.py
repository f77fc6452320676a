"""A user's own password: what it takes to change it, and the flag that asks for that."""

import msgspec
from msgspec import UNSET

from shared.contracts.base import Event
from shared.contracts.users import (
    ChangeOwnPassword,
    UserCreated,
    UserErased,
    UserFlagsChanged,
    UserPasswordSet,
    UsersEvent,
)
from shared.kernel.rejections import FieldError, Rejection, all_invalid, not_found


class PasswordState(msgspec.Struct, frozen=True):
    """What is known of a user's password; `exists` is about the user."""

    exists: bool = False
    change_required: bool = False


class PasswordFacts(msgspec.Struct, frozen=True):
    """What a change is decided on: is the old one right, is the new one the same, and the rule."""

    old_is_right: bool = False
    is_same: bool = False
    error: FieldError | None = None


INITIAL = PasswordState()
OLD_WRONG = "old_password_wrong"


def evolve(state: PasswordState, event: Event) -> PasswordState:
    """Return the state after an event of the user."""
    match event:
        case UserCreated():
            return PasswordState(exists=True, change_required=event.password_change_required)
        case UserErased():
            return INITIAL
        case UserFlagsChanged() if event.password_change_required is not UNSET:
            return msgspec.structs.replace(state, change_required=event.password_change_required)
    return state


def decide(
    state: PasswordState, command: ChangeOwnPassword, context: PasswordFacts
) -> tuple[UsersEvent, ...] | Rejection:
    """Set the password, and take the flag that asked for it back."""
    if not state.exists:
        return not_found("user", command.user_id)
    if context.error is not None:
        return all_invalid((context.error,))
    if not context.old_is_right:
        return _refused("old", OLD_WRONG, "The old password is not right.")
    if context.is_same:
        return _refused("new", "same_password", "The new password is the old one; choose another.")
    done: tuple[UsersEvent, ...] = (UserPasswordSet(user_id=command.user_id, by="self"),)
    if state.change_required:
        done += (UserFlagsChanged(user_id=command.user_id, password_change_required=False),)
    return done


def _refused(field: str, code: str, text: str) -> Rejection:
    return Rejection(
        kind="invalid", code=code, message=text, errors=(FieldError(field, code, text),)
    )
