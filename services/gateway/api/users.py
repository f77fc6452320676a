"""`/v1/users`: creating and changing users, and the log-in sessions of somebody else."""

from functools import partial
from typing import Any, Final, Literal

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.logins import revoke_login_of
from services.gateway.actions.users import (
    READ_ONLY,
    CreateUserBody,
    PatchUserBody,
    create_user,
    erase_user,
    patch_user,
    set_status,
)
from services.gateway.api.lists import page
from services.gateway.api.routing import (
    answer,
    answer_done,
    answer_shown,
    bare,
    call,
    gateway_of,
    operation,
    pending,
    plain,
    respond,
)
from services.gateway.documents.logins import LoginDocument
from services.gateway.documents.users import UserDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.patches import read_patch
from services.gateway.http.problems import Refused
from services.gateway.reads.users import USER_LOGINS, USERS
from services.gateway.writes import merged
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection


class NewKeypair(msgspec.Struct, kw_only=True):
    """A keypair with its secret, which is shown only here."""

    access_key: str
    secret_key: str


class CreatedUser(UserDocument, kw_only=True):
    """A new user with the first keypair; `secret_key` belongs to `main_access_key`."""

    keypair: NewKeypair
    secret_key: str


@post(
    "/v1/users",
    opt=operation("users.create", body=CreateUserBody, answer=CreatedUser, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a user together with a first keypair, whose secret is shown only in this answer."""
    gateway, asked = plain(request)
    body = asked.json(CreateUserBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await create_user(gateway, asked, body, once)
        user_id = written.result["user_id"]
        keypair = NewKeypair(
            access_key=written.result["access_key"], secret_key=written.result["secret_key"]
        )
        if written.is_visible:
            found = await gateway.reads.document(USERS, asked.caller(), user_id)
            if isinstance(found, Rejection):
                raise Refused(found)
            body_json = merged(found, keypair=keypair, secret_key=keypair.secret_key)
            return Answered(201, body_json, about=(user_id,))
        hidden = written._replace(result={"user_id": user_id, "access_key": keypair.access_key})
        more = msgspec.json.encode({"id": user_id, "keypair": keypair})
        return pending(gateway, asked, "user.create", hidden, more)

    return respond(await gateway.answers.once(asked, perform))


@patch(
    "/v1/users/{key:str}",
    opt=operation("users.update", body=PatchUserBody, answer=UserDocument),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change a user, all that is given or nothing."""
    gateway, asked = plain(request)
    body = read_patch(asked, PatchUserBody, READ_ONLY)
    write = partial(patch_user, gateway, asked, key, body)
    return await answer_shown(gateway, asked, "user.update", write, USERS, key)


@post(
    "/v1/users/{key:str}/activate",
    opt=operation("users.activate", answer=UserDocument),
    status_code=200,
)
async def activate(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Let a user in: everything works again as before."""
    return await _with_status(request, key, "active")


@post(
    "/v1/users/{key:str}/deactivate",
    opt=operation("users.deactivate", answer=UserDocument),
    status_code=200,
)
async def deactivate(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Keep a user out: log-in, keys and tokens are refused at once; keypairs stay as they are."""
    return await _with_status(request, key, "inactive")


async def _with_status(
    request: Request[Any, Any, Any], key: str, status: Literal["active", "inactive"]
) -> ASGIResponse:
    gateway, asked = bare(request)
    write = partial(set_status, gateway, asked, key, status)
    return await answer_shown(gateway, asked, "user.status", write, USERS, key)


@post(
    "/v1/users/{key:str}/erase",
    opt=operation("users.erase", answer=UserDocument),
    status_code=200,
)
async def erase(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Erase what is known of a deactivated user as a person, for ever; history stays."""
    gateway, asked = bare(request)
    write = partial(erase_user, gateway, asked, key)
    return await answer_shown(gateway, asked, "user.erase", write, USERS, key)


@get(
    "/v1/users/{key:str}/sessions",
    opt=operation("users.sessions", answer=LoginDocument, resource=USER_LOGINS),
)
async def list_sessions(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """List the log-in sessions of a user."""
    gateway, asked = gateway_of(request), call(request)
    found = await gateway.reads.stored(USERS, asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    within = (("user_id", (key,)),)
    return answer(await page(gateway.reads, USER_LOGINS, asked, within=within))


@delete(
    "/v1/users/{key:str}/sessions/{login_id:str}",
    opt=operation("users.sessions", status=204),
    status_code=200,
)
async def revoke_session(request: Request[Any, Any, Any], key: str, login_id: str) -> ASGIResponse:
    """Revoke a log-in session of a user; its token is no longer good."""
    gateway, asked = bare(request)
    write = partial(revoke_login_of, gateway, asked, key, login_id)
    return await answer_done(gateway, asked, "login.revoke", write)


ROUTES: Final = [create, change, activate, deactivate, erase, list_sessions, revoke_session]
