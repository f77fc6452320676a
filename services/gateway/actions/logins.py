"""Logging in and out."""

from datetime import datetime
from typing import Final, NamedTuple

from services.gateway.auth.directory import KnownLogin
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.writes import Written
from shared.contracts.base import Actor, Meta
from shared.contracts.users import LogIn, LoginEnd, LoginEnded, LogOut
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import not_found
from shared.security.tokens import token_hash
from shared.security.transport import open_token, seal_password

_OWNER: Final = "select user_id from logins where id = $1"


class LogInBody(Body, frozen=True, kw_only=True):
    """Who logs in; `otp` is the code of the second factor where there is one."""

    email: str
    password: str
    otp: str | None = None


class LoggedIn(NamedTuple):
    """A log-in that worked. The token is shown once."""

    token: str
    login_id: str
    user_id: str
    expires_at: datetime


async def log_in(gateway: Gateway, call: Call, body: LogInBody) -> LoggedIn:
    """Check a password and return a new token; raises Refused (401 invalid_credentials, ...)."""
    command = LogIn(
        email=body.email,
        sealed_password=seal_password(gateway.keyring, body.password),
        otp=body.otp,
    )
    meta = Meta(
        actor=Actor(kind="service", id="gateway"),
        correlation_id=call.request_id,
        request_id=call.request_id,
        client_address=call.client_address,
    )
    written = await gateway.writes.send(command, meta)
    result = written.result
    token = open_token(gateway.keyring, result["login_id"], result["sealed_token"])
    logged_in = LoggedIn(
        token=token,
        login_id=result["login_id"],
        user_id=result["user_id"],
        expires_at=datetime.fromisoformat(result["expires_at"]),
    )
    if not written.is_visible:  # the token is good at once, however far behind the tables are
        gateway.directory.admit(
            KnownLogin(
                logged_in.login_id, logged_in.user_id, token_hash(token), logged_in.expires_at
            )
        )
    return logged_in


async def end_login(
    gateway: Gateway,
    call: Call,
    login_id: str,
    *,
    reason: LoginEnd = "logout",
    key: CommandKey | None = None,
) -> Written:
    """End one of the caller's log-in sessions; its token is no longer good."""
    principal = call.caller()
    if login_id != principal.login_id:
        await _check_owner(gateway, login_id, principal.user_id)
    command = LogOut(login_id=login_id, user_id=principal.user_id, reason=reason)
    return await _end(gateway, call, command, key)


async def revoke_login_of(
    gateway: Gateway, call: Call, user_id: str, login_id: str, key: CommandKey | None = None
) -> Written:
    """End a log-in session of any user."""
    await _check_owner(gateway, login_id, user_id)
    command = LogOut(login_id=login_id, user_id=user_id, reason="revoked")
    return await _end(gateway, call, command, key)


async def _end(gateway: Gateway, call: Call, command: LogOut, key: CommandKey | None) -> Written:
    written = await gateway.writes.perform(call, command, key)
    ended = LoginEnded(login_id=command.login_id, user_id=command.user_id, reason=command.reason)
    gateway.directory.foresee(written.position, ended)
    return written


async def _check_owner(gateway: Gateway, login_id: str, user_id: str) -> None:
    owner = await gateway.reads.pool.fetchval(_OWNER, login_id.replace("\0", ""))
    if owner is None or owner != user_id:
        raise Refused(not_found("login", login_id[:64]))
