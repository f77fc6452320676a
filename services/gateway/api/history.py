"""`GET /v1/<things>/{id}/timeline`, for every object; and `/v1/events`, the audit log."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import Parameter, answer, call, gateway_of, operation
from services.gateway.documents.events import EventDocument
from services.gateway.gateway import Gateway
from services.gateway.history.rows import Subject
from services.gateway.history.wanted import (
    LOG,
    TIMELINE,
    timeline_query,
    wanted_of_log,
)
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.agents import AGENTS, IMAGES
from services.gateway.reads.policies import (
    KEYPAIR_POLICIES,
    PRESETS,
    PROJECT_POLICIES,
    USER_POLICIES,
)
from services.gateway.reads.presets import preset_id
from services.gateway.reads.resources import Resource
from services.gateway.reads.sessions import RESOURCE_GROUPS, SESSIONS
from services.gateway.reads.tenancy import DOMAINS, PROJECTS
from services.gateway.reads.users import KEYPAIRS, USERS
from shared.kernel.rejections import Rejection

SUFFIX: Final = "/timeline"
SPAN: Final = (
    Parameter("from", {"type": "string", "format": "date-time"}, "Nothing before this time."),
    Parameter("to", {"type": "string", "format": "date-time"}, "Only what is before this time."),
)
# path -> the objects' read model, and the service and name under which their events are kept
OBJECTS: Final[Mapping[str, tuple[Resource, str, str]]] = {
    "/v1/users": (USERS, "users", "user"),
    "/v1/keypairs": (KEYPAIRS, "users", "keypair"),
    "/v1/domains": (DOMAINS, "users", "domain"),
    "/v1/projects": (PROJECTS, "users", "project"),
    "/v1/keypair-policies": (KEYPAIR_POLICIES, "policies", "keypair-policy"),
    "/v1/user-policies": (USER_POLICIES, "policies", "user-policy"),
    "/v1/project-policies": (PROJECT_POLICIES, "policies", "project-policy"),
    "/v1/presets": (PRESETS, "policies", "preset"),
    "/v1/resource-groups": (RESOURCE_GROUPS, "scheduler", "resource-group"),
    "/v1/sessions": (SESSIONS, "scheduler", "session"),
    "/v1/agents": (AGENTS, "agents", "agent"),
    "/v1/images": (IMAGES, "agents", "image"),
}


async def timeline(gateway: Gateway, asked: Call, path: str, key: str) -> bytes:
    """Return a page of what happened to an object as JSON; raises Refused."""
    resource, service, aggregate = OBJECTS[path]
    principal = asked.caller()
    query = timeline_query(asked.query)
    if isinstance(query, Rejection):
        raise Refused(query)
    if resource is USERS and key == "me":
        key = principal.user_id
    if resource is PRESETS:
        key = await preset_id(gateway.reads, key)
    refusal = await gateway.reads.visible(resource, principal, key)
    if refusal is not None:
        raise Refused(refusal)
    found = await gateway.history.timeline(principal, Subject(service, aggregate, key), query)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found.encode()


def _timeline_route(path: str) -> HTTPRouteHandler:
    resource = OBJECTS[path][0]

    async def handler(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
        gateway = gateway_of(request)
        return answer(await timeline(gateway, call(request), path, key.lstrip("/")))

    noun = resource.noun.replace("_", " ")
    handler.__doc__ = f"Tell what has happened to {_article(noun)} {noun}, the newest first."
    kind = "path" if resource is IMAGES else "str"
    action = "resource-groups.timeline" if resource is RESOURCE_GROUPS else resource.read_action
    options = operation(action, answer=EventDocument, listed=TIMELINE)
    return get(f"{path}/{{key:{kind}}}{SUFFIX}", opt=options)(handler)


@get(
    "/v1/users/me/timeline",
    opt=operation(USERS.read_action, answer=EventDocument, listed=TIMELINE),
)
async def my_timeline(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Tell what has happened to oneself, the newest first."""
    return answer(await timeline(gateway_of(request), call(request), "/v1/users", "me"))


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeio" else "a"


@get(
    "/v1/events",
    opt=operation("events.list", answer=EventDocument, listed=LOG, parameters=SPAN),
)
async def list_events(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the audit log: what has happened anywhere, the newest first."""
    asked = call(request)
    principal = asked.caller()
    wanted = wanted_of_log(asked.query)
    if isinstance(wanted, Rejection):
        raise Refused(wanted)
    found = await gateway_of(request).history.log(principal, *wanted)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(found.encode())


ROUTES: Final = [list_events, my_timeline, *(_timeline_route(path) for path in OBJECTS)]
