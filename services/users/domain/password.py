"""A user's own password: what it takes to change it, and the flag that asks for that."""

import msgspec

from services.users.domain.refusals import erased
from services.users.domain.user import User
from shared.contracts.users import (
    ChangeOwnPassword,
    UserFlagsChanged,
    UserPasswordSet,
    UsersEvent,
)
from shared.kernel.rejections import FieldError, Rejection, all_invalid, not_found


class PasswordFacts(msgspec.Struct, frozen=True):
    """What a change is decided on: is the old one right, is the new one the same, and the rule."""

    old_is_right: bool = False
    is_same: bool = False
    error: FieldError | None = None


OLD_WRONG = "old_password_wrong"


def decide(
    state: User, command: ChangeOwnPassword, context: PasswordFacts
) -> tuple[UsersEvent, ...] | Rejection:
    """Set the password, and take the flag that asked for it back."""
    if state.user_id is None:
        return not_found("user", command.user_id)
    if state.is_erased:
        return erased()
    if context.error is not None:
        return all_invalid((context.error,))
    if not context.old_is_right:
        return _refused("old", OLD_WRONG, "The old password is not right.")
    if context.is_same:
        return _refused("new", "same_password", "The new password is the old one; choose another.")
    done: tuple[UsersEvent, ...] = (UserPasswordSet(user_id=command.user_id, by="self"),)
    if state.password_change_required:
        done += (UserFlagsChanged(user_id=command.user_id, password_change_required=False),)
    return done


def _refused(field: str, code: str, text: str) -> Rejection:
    return Rejection(
        kind="invalid", code=code, message=text, errors=(FieldError(field, code, text),)
    )
