"""One-time passwords of a user: off, or on after a code of a new seed has been shown."""

from typing import TypeAlias

import msgspec

from shared.contracts.base import Event
from shared.contracts.users import (
    BeginTotp,
    ConfirmTotp,
    RemoveTotp,
    UserCreated,
    UserErased,
    UsersEvent,
    UserTotpDisabled,
    UserTotpEnabled,
)
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found


class SecondFactor(msgspec.Struct, frozen=True):
    """What is known of a user's one-time passwords; `exists` is about the user."""

    exists: bool = False
    is_on: bool = False


class ShownCode(msgspec.Struct, frozen=True):
    """A code that was shown: whether there is a seed for it, and the step that it belongs to.

    `step` is None for a code that is wrong or used.
    """

    has_seed: bool = False
    step: int | None = None


TotpCommand: TypeAlias = BeginTotp | ConfirmTotp | RemoveTotp
INITIAL = SecondFactor()
NO_CODE = ShownCode()


def evolve(state: SecondFactor, event: Event) -> SecondFactor:
    """Return the state after an event of the user."""
    match event:
        case UserCreated():
            return SecondFactor(exists=True)
        case UserErased():
            return SecondFactor()
        case UserTotpEnabled():
            return msgspec.structs.replace(state, is_on=True)
        case UserTotpDisabled():
            return msgspec.structs.replace(state, is_on=False)
    return state


def decide(
    state: SecondFactor, command: TotpCommand, context: ShownCode = NO_CODE
) -> tuple[UsersEvent, ...] | Rejection:
    """Switch one-time passwords on or off; the owner shows a code for either."""
    if not state.exists:
        return not_found("user", command.user_id)
    match command:
        case BeginTotp():
            return _already_on() if state.is_on else ()
        case ConfirmTotp():
            return _confirm(state, command, context)
        case RemoveTotp():
            return _remove(state, command, context)


def _confirm(
    state: SecondFactor, command: ConfirmTotp, shown: ShownCode
) -> tuple[UsersEvent, ...] | Rejection:
    if state.is_on:
        return _already_on()
    if not shown.has_seed:
        return conflict("totp_not_begun", "Ask for a new secret before you confirm a code of it.")
    if shown.step is None:
        return wrong_code()
    return (UserTotpEnabled(user_id=command.user_id),)


def _remove(
    state: SecondFactor, command: RemoveTotp, shown: ShownCode
) -> tuple[UsersEvent, ...] | Rejection:
    if not state.is_on:
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
