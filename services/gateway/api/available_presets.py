"""`/v1/presets/available`: which presets the caller could use now, and why not the others."""

from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import Parameter, answer, call, gateway_of, operation
from services.gateway.documents.available import AvailablePresets
from services.gateway.http.parameters import only_parameters
from services.gateway.http.problems import Refused
from services.gateway.reads.available_presets import available_presets
from services.gateway.reads.effective_limits import chosen_for
from services.gateway.reads.users import USERS
from shared.kernel.rejections import Rejection

_PARAMETERS: Final = (
    Parameter(
        "project",
        {"type": "string"},
        "The project, by id or name, that a session would count for; else the caller's first.",
    ),
    Parameter(
        "resource_group",
        {"type": "string"},
        "Where it would run; else any group that is open to the caller.",
    ),
)


@get(
    "/v1/presets/available",
    opt=operation("presets.available", answer=AvailablePresets, parameters=_PARAMETERS),
)
async def list_available(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List all presets with whether a session of each could start now, and if not, why."""
    gateway, asked = gateway_of(request), call(request)
    parameters = only_parameters(asked.query, *(item.name for item in _PARAMETERS))
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    principal, reads = asked.caller(), gateway.reads
    user = await reads.decoded(USERS, principal, principal.user_id)
    if isinstance(user, Rejection):
        raise Refused(user)
    chosen = await chosen_for(reads, user, principal.access_key, parameters.get("project"))
    if isinstance(chosen, Rejection):
        raise Refused(chosen)
    group = parameters.get("resource_group")
    found = await available_presets(reads, principal, user, chosen, group)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(msgspec.json.encode(found))


ROUTES: Final = [list_available]
