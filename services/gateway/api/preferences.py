"""`/v1/users/me/preferences`: what one has chosen, remembered for every browser."""

from typing import Any, Final

import msgspec
from litestar import Request, delete, get, put
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import answer, bare, operation, plain, respond
from services.gateway.http.calls import Call
from services.gateway.http.idempotency import Answered
from services.gateway.http.problems import Refused, malformed
from services.gateway.preferences import NAME, NAMES_MAX, VALUE_BYTES_MAX
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection, not_found

JSON: Final = "application/json"


@get("/v1/users/me/preferences", opt=operation("profile.preferences", answer=JSON))
async def list_all(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return everything that one has chosen: an object, by name."""
    gateway, asked = plain(request)
    found = await gateway.preferences.all(asked.caller().user_id)
    members = (f"{msgspec.json.encode(name).decode()}:{value}" for name, value in found.items())
    return answer(f"{{{','.join(members)}}}".encode())


@get("/v1/users/me/preferences/{key:str}", opt=operation("profile.preferences", answer=JSON))
async def show(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return what one has chosen under a name: the JSON that was put there."""
    gateway, asked = plain(request)
    found = await gateway.preferences.get(asked.caller().user_id, _name(key))
    if found is None:
        raise Refused(not_found("preference", key))
    return answer(found.encode())


@put(
    "/v1/users/me/preferences/{key:str}",
    opt=operation("profile.preferences", body=JSON, answer=JSON),
)
async def keep(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Keep any JSON under a name, in the place of what was there."""
    gateway, asked = plain(request)
    user_id, name, value = asked.caller().user_id, _name(key), _value(asked)

    async def perform(_: CommandKey | None) -> Answered:
        if await gateway.preferences.put(user_id, name, value) == "too_many":
            message = f"One keeps at most {NAMES_MAX} preferences; delete one of them first."
            raise Refused(Rejection(kind="conflict", code="too_many_preferences", message=message))
        return Answered(200, value.encode(), about=(user_id,))

    return respond(await gateway.answers.once(asked, perform))


@delete(
    "/v1/users/me/preferences/{key:str}",
    opt=operation("profile.preferences", status=204),
    status_code=200,
)
async def forget(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Forget what one has chosen under a name."""
    gateway, asked = bare(request)

    async def perform(_: CommandKey | None) -> Answered:
        if not await gateway.preferences.remove(asked.caller().user_id, _name(key)):
            raise Refused(not_found("preference", key))
        return Answered(204, b"")

    return respond(await gateway.answers.once(asked, perform))


def _name(key: str) -> str:
    if NAME.fullmatch(key):
        return key
    message = "A preference's name is 1 to 64 letters, digits, dots, hyphens and underscores."
    error = FieldError("key", "malformed", message)
    raise Refused(malformed("malformed_name", message, (error,)))


def _value(asked: Call) -> str:
    """Return the body as it was given, which must be JSON; raises Refused (400, 413)."""
    if len(asked.body) > VALUE_BYTES_MAX:
        message = f"A preference is at most {VALUE_BYTES_MAX} bytes of JSON."
        raise Refused(
            Rejection(
                kind="too_large",
                code="preference_too_large",
                message=message,
                details={"limit": VALUE_BYTES_MAX},
            )
        )
    asked.json(msgspec.Raw)
    value: str = msgspec.json.format(asked.body, indent=-1).decode()
    return value


ROUTES: Final = [list_all, show, keep, forget]
