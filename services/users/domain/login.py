"""A log-in session: one bearer token, from its issue to its end."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from services.users.domain.user import User
from shared.contracts.base import Event
from shared.contracts.users import LoginEnded, LoginStarted, LogOut, UsersEvent
from shared.kernel.rejections import Rejection, conflict, not_found

Code: TypeAlias = Literal["not_needed", "absent", "wrong", "right"]
GUESSED_WRONG = frozenset({"invalid_credentials", "otp_invalid"})


class Login(msgspec.Struct, frozen=True):
    """What is known of a log-in session; `login_id` is None before it exists."""

    login_id: str | None = None
    user_id: str = ""
    ended: bool = False


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of somebody who wants to log in.

    `code` is about the one-time password, and is looked at only when the password is right.
    """

    user: User
    password_is_right: bool
    code: Code = "not_needed"


class StartLogin(msgspec.Struct, frozen=True, kw_only=True):
    """The wish of a visitor for a session."""

    login_id: str
    token_hash: str
    expires_at: datetime


LoginCommand: TypeAlias = StartLogin | LogOut
INITIAL = Login()


def evolve(state: Login, event: Event) -> Login:
    """Return the session after an event."""
    if isinstance(event, LoginStarted):
        return Login(login_id=event.login_id, user_id=event.user_id)
    if isinstance(event, LoginEnded):
        return msgspec.structs.replace(state, ended=True)
    return state


def decide(
    state: Login, command: LoginCommand, context: Visitor | None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Start a session for a visitor (`context`), or end one; ending twice changes nothing."""
    if isinstance(command, StartLogin):
        return _start(state, command, context)
    if state.login_id is None or state.user_id != command.user_id:
        return not_found("login", command.login_id)
    if state.ended:
        return ()
    return (LoginEnded(login_id=command.login_id, user_id=command.user_id, reason=command.reason),)


def is_wrong_guess(refusal: Rejection) -> bool:
    """Tell whether a refused log-in counts towards the lock of its address.

    That of an inactive user counts whatever the password was: if only wrong ones did, the lock
    would tell which one is right.
    """
    return refusal.code in GUESSED_WRONG


def _start(
    state: Login, command: StartLogin, visitor: Visitor | None
) -> tuple[UsersEvent, ...] | Rejection:
    if state.login_id is not None:
        return conflict("login_exists", "This session was started before.")
    if visitor is None or not visitor.password_is_right:
        return invalid_credentials()
    user = visitor.user
    if user.user_id is None or user.status == "inactive":
        return invalid_credentials()
    if user.status == "before_verification":
        return _unauthenticated(
            "verification_needed",
            "The e-mail address has to be verified before the first log-in.",
        )
    if visitor.code == "absent":
        return _unauthenticated("otp_required", "Give the code that your authenticator shows, too.")
    if visitor.code == "wrong":
        return _unauthenticated(
            "otp_invalid", "The code is wrong or was used before; wait for the next one."
        )
    return (
        LoginStarted(
            login_id=command.login_id,
            user_id=user.user_id,
            token_hash=command.token_hash,
            expires_at=command.expires_at,
        ),
    )


def invalid_credentials() -> Rejection:
    """Return the one answer to a wrong password, an unknown address and an inactive user."""
    return _unauthenticated(
        "invalid_credentials", "The e-mail address or the password is not right."
    )


def _unauthenticated(code: str, message: str) -> Rejection:
    return Rejection(kind="unauthenticated", code=code, message=message)
