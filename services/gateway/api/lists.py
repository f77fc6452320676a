"""Lists and single objects that are nothing but a read model: one factory for all nouns."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from services.gateway.api.asking import AT, asked_list, asked_moment
from services.gateway.api.history import SUFFIX, timeline
from services.gateway.api.routing import answer, call, gateway_of, operation
from services.gateway.documents.agents import AgentDocument, ImageDocument
from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.documents.policies import (
    KeypairPolicyDocument,
    PresetDocument,
    ProjectPolicyDocument,
    UserPolicyDocument,
)
from services.gateway.documents.resource_groups import ResourceGroupDocument
from services.gateway.documents.sessions import SessionDocument
from services.gateway.documents.tenancy import DomainDocument, ProjectDocument
from services.gateway.documents.users import UserDocument
from services.gateway.http.calls import Call
from services.gateway.http.parameters import FilterValue
from services.gateway.http.problems import Refused
from services.gateway.reads.agents import AGENTS, IMAGES
from services.gateway.reads.models import ReadModels
from services.gateway.reads.policies import (
    KEYPAIR_POLICIES,
    PRESETS,
    PROJECT_POLICIES,
    USER_POLICIES,
)
from services.gateway.reads.resources import Resource
from services.gateway.reads.sessions import RESOURCE_GROUPS, SESSIONS
from services.gateway.reads.tenancy import DOMAINS, PROJECTS
from services.gateway.reads.users import KEYPAIRS, USERS
from shared.kernel.rejections import Rejection

RESOURCES: Final[Mapping[str, tuple[Resource, type]]] = {
    "/v1/users": (USERS, UserDocument),
    "/v1/keypairs": (KEYPAIRS, KeypairDocument),
    "/v1/domains": (DOMAINS, DomainDocument),
    "/v1/projects": (PROJECTS, ProjectDocument),
    "/v1/keypair-policies": (KEYPAIR_POLICIES, KeypairPolicyDocument),
    "/v1/user-policies": (USER_POLICIES, UserPolicyDocument),
    "/v1/project-policies": (PROJECT_POLICIES, ProjectPolicyDocument),
    "/v1/presets": (PRESETS, PresetDocument),
    "/v1/resource-groups": (RESOURCE_GROUPS, ResourceGroupDocument),
    "/v1/sessions": (SESSIONS, SessionDocument),
    "/v1/agents": (AGENTS, AgentDocument),
    "/v1/images": (IMAGES, ImageDocument),
}


# a preset is also found by its name (`api.presets`), a session has more (`api.session_detail`)
BY_OTHERS: Final = (PRESETS, SESSIONS)


class Lists:
    """Answers the lists, for the edge and for the application alike."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads
        self._resources = {path: resource for path, (resource, _) in RESOURCES.items()}

    async def answer(self, call: Call) -> bytes | None:
        """Return a page as JSON, None when the path is not a list; raises Refused."""
        resource = self._resources.get(call.path)
        if resource is None:
            return None
        return await page(self._reads, resource, call)


async def page(
    reads: ReadModels,
    resource: Resource,
    call: Call,
    *,
    within: tuple[tuple[str, tuple[FilterValue, ...]], ...] = (),
) -> bytes:
    """Return one page of a list as JSON; raises Refused. `within` are filters of the address."""
    principal = call.caller()
    query = asked_list(resource, call, reads.clock.now())
    if within:
        query = query._replace(filters=(*query.filters, *within))
    found = await reads.page(resource, principal, query)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found.encode()


def _list_route(path: str, resource: Resource, document: type) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
        return answer(await page(gateway_of(request).reads, resource, call(request)))

    handler.__doc__ = f"List {_plural(path)}, as far as the caller may see them."
    parameters = () if resource.versions is None else (AT,)
    options = operation(
        resource.list_action, answer=document, resource=resource, parameters=parameters
    )
    return get(path, opt=options)(handler)


def _one_route(path: str, resource: Resource, document: type) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
        asked, gateway = call(request), gateway_of(request)
        key = key.lstrip("/")
        if resource is IMAGES and key.endswith(SUFFIX):  # a path takes in whatever follows it
            return answer(await timeline(gateway, asked, path, key.removesuffix(SUFFIX)))
        at = asked_moment(resource, asked.query, gateway.clock.now())
        found = await gateway.reads.document(resource, asked.caller(), key, at)
        if isinstance(found, Rejection):
            raise Refused(found)
        return answer(found.encode())

    handler.__doc__ = f"Return one of the {_plural(path)}."
    kind = "path" if resource is IMAGES else "str"
    parameters = () if resource.versions is None else (AT,)
    options = operation(resource.read_action, answer=document, parameters=parameters)
    return get(f"{path}/{{key:{kind}}}", opt=options)(handler)


def _plural(path: str) -> str:
    return path.rpartition("/")[2].replace("-", " ")


ROUTES: Final = [
    *(_list_route(path, *found) for path, found in RESOURCES.items()),
    *(_one_route(path, *found) for path, found in RESOURCES.items() if found[0] not in BY_OTHERS),
]
