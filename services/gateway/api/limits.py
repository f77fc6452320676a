"""`/v1/users/{id}/limits`: what a user may use, what of it is in use, and which limit binds."""

from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import Parameter, answer, call, gateway_of, operation
from services.gateway.documents.limits import EffectiveLimits
from services.gateway.gateway import Gateway
from services.gateway.http.calls import Call
from services.gateway.http.parameters import only_parameters
from services.gateway.http.problems import Refused
from services.gateway.reads.effective_limits import chosen_for, effective_limits
from services.gateway.reads.users import USERS
from shared.kernel.rejections import Rejection

ACTION: Final = "users.limits"
_PARAMETERS: Final = (
    Parameter(
        "access_key",
        {"type": "string"},
        "The keypair for which `binding` is told; the one that signs, or the main one.",
    ),
    Parameter(
        "project",
        {"type": "string"},
        "The project, by id or name, for which `binding` is told; else the user's first.",
    ),
)
_OPTIONS: Final = operation(ACTION, answer=EffectiveLimits, parameters=_PARAMETERS)


@get("/v1/users/me/limits", opt=_OPTIONS)
async def get_my_limits(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return one's own limits, with what is used and left of them."""
    asked = call(request)
    return await _limits(gateway_of(request), asked, asked.caller().user_id)


@get("/v1/users/{key:str}/limits", opt=_OPTIONS)
async def get_limits(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return the limits of a user, with what is used and left of them."""
    return await _limits(gateway_of(request), call(request), key)


async def _limits(gateway: Gateway, asked: Call, user_id: str) -> ASGIResponse:
    parameters = only_parameters(asked.query, *(item.name for item in _PARAMETERS))
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    principal = asked.caller()
    user = await gateway.reads.decoded(USERS._replace(read_action=ACTION), principal, user_id)
    if isinstance(user, Rejection):
        raise Refused(user)
    access_key = parameters.get("access_key")
    if access_key is None and principal.user_id == user_id:
        access_key = principal.access_key
    chosen = await chosen_for(gateway.reads, user, access_key, parameters.get("project"))
    if isinstance(chosen, Rejection):
        raise Refused(chosen)
    found = await effective_limits(gateway.reads, principal, user, chosen)
    return answer(msgspec.json.encode(found))


ROUTES: Final = [get_my_limits, get_limits]
