"""One-time passwords of a user: off, or on after a code of a new seed has been shown."""

from typing import TypeAlias

import msgspec

from services.users.domain.refusals import erased
from services.users.domain.user import User
from shared.contracts.users import (
    BeginTotp,
    ConfirmTotp,
    RemoveTotp,
    UsersEvent,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found


class ShownCode(msgspec.Struct, frozen=True):
    """A code that was shown: whether there is a seed for it, and the step that it belongs to.

    `step` is None for a code that is wrong or used.
    """

    has_seed: bool = False
    step: int | None = None


TotpCommand: TypeAlias = BeginTotp | ConfirmTotp | RemoveTotp
NO_CODE = ShownCode()


def decide(
    state: User, command: TotpCommand, context: ShownCode = NO_CODE
) -> tuple[UsersEvent, ...] | Rejection:
    """Switch one-time passwords on or off; the owner shows a code for either."""
    if state.user_id is None:
        return not_found("user", command.user_id)
    if state.is_erased:
        return erased()
    match command:
        case BeginTotp():
            return _already_on() if state.totp_enabled else ()
        case ConfirmTotp():
            return _confirm(state, command, context)
        case RemoveTotp():
            return _remove(state, command, context)


def _confirm(
    state: User, command: ConfirmTotp, shown: ShownCode
) -> tuple[UsersEvent, ...] | Rejection:
    if state.totp_enabled:
        return _already_on()
    if not shown.has_seed:
        return conflict("totp_not_begun", "Ask for a new secret before you confirm a code of it.")
    if shown.step is None:
        return wrong_code()
    return (UserTotpEnabled(user_id=command.user_id),)


def _remove(
    state: User, command: RemoveTotp, shown: ShownCode
) -> tuple[UsersEvent, ...] | Rejection:
    if not state.totp_enabled:
        return conflict("totp_not_enabled", "One-time passwords are not switched on.")
    if shown.step is None:
        return wrong_code()
    return (UserTotpDisabled(user_id=command.user_id, by="self"),)


def wrong_code() -> Rejection:
    """Return the refusal of a code that somebody shows who has logged in already."""
    text = "The code is wrong or was used before; wait for the next one."
    return Rejection(
        kind="invalid",
        code="otp_invalid",
        message=text,
        errors=(FieldError("code", "otp_invalid", text),),
    )


def _already_on() -> Rejection:
    return conflict(
        "totp_enabled", "One-time passwords are switched on; switch them off before a new secret."
    )
