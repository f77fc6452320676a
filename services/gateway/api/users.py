"""`/v1/users`: creating users, and one's own profile."""

from typing import Any, Final

import msgspec
from litestar import Request, get, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.users import CreateUserBody, create_user
from services.gateway.api.auth import own_document
from services.gateway.api.lists import no_parameters
from services.gateway.api.routing import (
    answer,
    call,
    gateway_of,
    operation,
    pending,
    respond,
)
from services.gateway.documents.users import UserDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.problems import Refused
from services.gateway.reads.users import USERS
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


@get("/v1/users/me", opt=operation("users.read", answer=UserDocument))
async def get_me(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return one's own profile."""
    asked = call(request)
    no_parameters(asked)
    return answer((await own_document(gateway_of(request), asked.caller())).encode())


@post(
    "/v1/users",
    opt=operation("users.create", body=CreateUserBody, answer=CreatedUser, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a user together with a first keypair, whose secret is shown only in this answer."""
    gateway, asked = gateway_of(request), call(request)
    no_parameters(asked)
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
            return Answered(201, merged(found, keypair=keypair, secret_key=keypair.secret_key))
        hidden = written._replace(result={"user_id": user_id, "access_key": keypair.access_key})
        more = msgspec.json.encode({"id": user_id, "keypair": keypair})
        return pending(gateway, asked, "user.create", hidden, more)

    return respond(await gateway.answers.once(asked, perform))


ROUTES: Final = [get_me, create]
