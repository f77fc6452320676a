"""`/v1/users/me`: one's own profile, password and one-time passwords."""

from functools import partial
from typing import Any, Final

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.profile import (
    READ_ONLY,
    CodeBody,
    NewTotp,
    PasswordBody,
    PatchProfileBody,
    begin_totp,
    change_password,
    confirm_totp,
    patch_profile,
    remove_totp,
)
from services.gateway.api.auth import own_document
from services.gateway.api.routing import (
    answer,
    answer_done,
    answer_shown,
    bare,
    operation,
    plain,
    respond,
)
from services.gateway.documents.users import UserDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.patches import read_patch
from services.gateway.reads.users import USERS
from shared.eventlog.records import CommandKey


@get("/v1/users/me", opt=operation("profile.read", answer=UserDocument))
async def get_me(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return one's own profile."""
    gateway, asked = plain(request)
    return answer((await own_document(gateway, asked.caller())).encode())


@patch("/v1/users/me", opt=operation("profile.update", body=PatchProfileBody, answer=UserDocument))
async def change(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Change one's own names and description."""
    gateway, asked = plain(request)
    body = read_patch(asked, PatchProfileBody, READ_ONLY)

    user_id = asked.caller().user_id
    write = partial(patch_profile, gateway, asked, body)
    return await answer_shown(gateway, asked, "user.update", write, USERS, user_id)


@post(
    "/v1/users/me/password",
    opt=operation("profile.password", body=PasswordBody, answer=UserDocument),
    status_code=200,
)
async def password(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Set one's own password, knowing the old one; all one's other log-in sessions end."""
    gateway, asked = plain(request)
    body = asked.json(PasswordBody)

    user_id = asked.caller().user_id
    write = partial(change_password, gateway, asked, body)
    return await answer_shown(gateway, asked, "user.password", write, USERS, user_id)


@post(
    "/v1/users/me/totp",
    opt=operation("profile.totp", answer=NewTotp),
    status_code=200,
)
async def totp(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Draw a seed for an authenticator; it counts once a code of it has been confirmed."""
    gateway, asked = bare(request)

    async def perform(once: CommandKey | None) -> Answered:
        drawn = await begin_totp(gateway, asked, once)
        return Answered(200, msgspec.json.encode(drawn), about=(asked.caller().user_id,))

    return respond(await gateway.answers.once(asked, perform))


@post(
    "/v1/users/me/totp/confirm",
    opt=operation("profile.totp", body=CodeBody, answer=UserDocument),
    status_code=200,
)
async def confirm(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Switch one-time passwords on, showing a code of the seed that was drawn last."""
    gateway, asked = plain(request)
    body = asked.json(CodeBody)

    user_id = asked.caller().user_id
    write = partial(confirm_totp, gateway, asked, body)
    return await answer_shown(gateway, asked, "totp.confirm", write, USERS, user_id)


@delete(
    "/v1/users/me/totp",
    opt=operation("profile.totp", body=CodeBody, status=204),
    status_code=200,
)
async def remove(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Switch one-time passwords off, showing a code."""
    gateway, asked = plain(request)
    body = asked.json(CodeBody)
    write = partial(remove_totp, gateway, asked, body)
    return await answer_done(gateway, asked, "totp.remove", write)


ROUTES: Final = [get_me, change, password, totp, confirm, remove]
