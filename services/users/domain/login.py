"""A log-in session: one bearer token, from its issue to its end."""

from datetime import datetime
from typing import TypeAlias

import msgspec

from services.users.domain.user import User
from shared.contracts.base import Event
from shared.contracts.users import LoginEnded, LoginStarted, LogOut, UsersEvent
from shared.kernel.rejections import Rejection, conflict, not_found


class Login(msgspec.Struct, frozen=True):
    """What is known of a log-in session; `login_id` is None before it exists."""

    login_id: str | None = None
    user_id: str = ""
    ended: bool = False


class StartLogin(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for a session of somebody who gave the right e-mail address and password."""

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
    state: Login, command: LoginCommand, context: User | None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Start a session for an active user (`context`), or end one; ending twice changes nothing."""
    if isinstance(command, StartLogin):
        return _start(state, command, context)
    if state.login_id is None or state.user_id != command.user_id:
        return not_found("login", command.login_id)
    if state.ended:
        return ()
    return (LoginEnded(login_id=command.login_id, user_id=command.user_id, reason=command.reason),)


def _start(
    state: Login, command: StartLogin, user: User | None
) -> tuple[UsersEvent, ...] | Rejection:
    if state.login_id is not None:
        return conflict("login_exists", "This session was started before.")
    if user is None or user.user_id is None or user.status == "inactive":
        return invalid_credentials()
    if user.status == "before_verification":
        return Rejection(
            kind="unauthenticated",
            code="verification_needed",
            message="The e-mail address has to be verified before the first log-in.",
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
    return Rejection(
        kind="unauthenticated",
        code="invalid_credentials",
        message="The e-mail address or the password is not right.",
    )
