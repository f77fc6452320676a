"""`/v1/auth`: logging in and out, who one is, and one's log-in sessions."""

from datetime import datetime
from typing import Any, Final

import msgspec
from litestar import Request, delete, get, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.logins import LogInBody, end_login, log_in
from services.gateway.actions.projects import administers_any
from services.gateway.api.lists import page
from services.gateway.api.routing import (
    answer,
    call,
    empty,
    gateway_of,
    operation,
    pending,
    plain,
    respond,
)
from services.gateway.auth.authenticator import COOKIE
from services.gateway.auth.permissions import PUBLIC, capabilities, scope_of
from services.gateway.auth.principals import Method, Principal
from services.gateway.documents.logins import LoginDocument
from services.gateway.documents.users import UserDocument
from services.gateway.gateway import Gateway
from services.gateway.http.idempotency import Answered
from services.gateway.http.problems import Refused
from services.gateway.reads.users import LOGINS, USERS
from shared.contracts.users import Role
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

_MEMBERS: Final = "projects.members"


class LoginAnswer(msgspec.Struct, kw_only=True):
    """A new token; it is shown only here."""

    token: str
    expires_at: datetime
    user: UserDocument | None
    password_change_required: bool


class MeAnswer(msgspec.Struct, kw_only=True):
    """Who calls and what they may do; `capabilities` are the names of actions."""

    user: UserDocument
    role: Role
    capabilities: list[str]
    authenticated_by: Method
    access_key: str | None


def cookie(token: str, *, max_age_s: int, is_https: bool) -> str:
    """Return the console's cookie; an age of 0 removes it."""
    secure = "; Secure" if is_https else ""
    return f"{COOKIE}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"


async def own_document(gateway: Gateway, principal: Principal) -> str:
    """Return the caller's own user document as JSON text; raises Refused (404) if not there yet."""
    found = await gateway.reads.document(USERS, principal, principal.user_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found


@post("/v1/auth/login", opt=operation(PUBLIC, body=LogInBody, answer=LoginAnswer), status_code=200)
async def login(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Log in with e-mail and password; answers a bearer token and sets the console's cookie."""
    gateway, asked = plain(request)
    done = await log_in(gateway, asked, asked.json(LogInBody))
    text = await gateway.reads.pool.fetchval("select doc from users where id = $1", done.user_id)
    user = msgspec.json.decode(text, type=UserDocument) if text is not None else None
    body = LoginAnswer(
        token=done.token,
        expires_at=done.expires_at,
        user=user,
        password_change_required=user is not None and user.password_change_required,
    )
    age_s = max(0, int((done.expires_at - gateway.clock.now()).total_seconds()))
    headers = {
        "set-cookie": cookie(done.token, max_age_s=age_s, is_https=gateway.is_https),
        "cache-control": "no-store",
    }
    return answer(msgspec.json.encode(body), 200, headers)


@post("/v1/auth/logout", opt=operation("auth.logout", status=204), status_code=200)
async def logout(request: Request[Any, Any, Any]) -> ASGIResponse:
    """End the log-in session that the request's token belongs to, and remove the cookie."""
    gateway, asked = plain(request)
    login_id = asked.caller().login_id
    if login_id is not None:
        await end_login(gateway, asked, login_id)
    answered = empty()
    answered.encoded_headers.append(
        (b"set-cookie", cookie("", max_age_s=0, is_https=gateway.is_https).encode())
    )
    return answered


@get("/v1/auth/me", opt=operation("auth.me", answer=MeAnswer))
async def me(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Tell who calls and what they may do."""
    gateway, asked = plain(request)
    principal = asked.caller()
    body = MeAnswer(
        user=msgspec.json.decode(await own_document(gateway, principal), type=UserDocument),
        role=principal.role,
        capabilities=await _capabilities(gateway, principal),
        authenticated_by=principal.method,
        access_key=principal.access_key,
    )
    return answer(msgspec.json.encode(body))


async def _capabilities(gateway: Gateway, principal: Principal) -> list[str]:
    """Return what the caller may do to something that there is."""
    names = capabilities(principal)
    if scope_of(principal, _MEMBERS) == "own" and not await administers_any(gateway, principal):
        names.remove(_MEMBERS)
    return names


@get(
    "/v1/auth/sessions", opt=operation("auth.sessions.list", answer=LoginDocument, resource=LOGINS)
)
async def list_logins(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List one's own log-in sessions."""
    return answer(await page(gateway_of(request).reads, LOGINS, call(request)))


@get("/v1/auth/sessions/{key:str}", opt=operation("auth.sessions.list", answer=LoginDocument))
async def get_login(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return one of one's own log-in sessions."""
    gateway, asked = plain(request)
    found = await gateway.reads.document(LOGINS, asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(found.encode())


@delete(
    "/v1/auth/sessions/{key:str}",
    opt=operation("auth.sessions.revoke", status=204),
    status_code=200,
)
async def revoke_login(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Revoke one of one's own log-in sessions; its token is no longer good."""
    gateway, asked = plain(request)

    async def perform(once: CommandKey | None) -> Answered:
        written = await end_login(gateway, asked, key, reason="revoked", key=once)
        if not written.is_visible:
            return pending(gateway, asked, "login.revoke", written, b"{}")
        return Answered(204, b"")

    return respond(await gateway.answers.once(asked, perform))


ROUTES: Final = [login, logout, me, list_logins, get_login, revoke_login]
