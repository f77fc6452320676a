"""`/v1/{keypair,user,project}-policies`: all three are created, changed and deleted alike."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from services.gateway.actions import keypair_policies, project_policies, user_policies
from services.gateway.actions.limits import TOTAL
from services.gateway.actions.warnings import LimitWarning, limit_warnings
from services.gateway.api.lists import page
from services.gateway.api.routing import (
    answer,
    answer_done,
    answer_shown,
    bare,
    call,
    gateway_of,
    operation,
    plain,
)
from services.gateway.documents.policies import (
    KeypairPolicyDocument,
    ProjectPolicyDocument,
    UserPolicyDocument,
)
from services.gateway.documents.references import Deletability, ReferenceDocument
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.patches import read_patch
from services.gateway.http.problems import Refused
from services.gateway.reads.capacity import capacity
from services.gateway.reads.policies import KEYPAIR_POLICIES, PROJECT_POLICIES, USER_POLICIES
from services.gateway.reads.references import USES, deletability
from services.gateway.reads.resources import Resource
from services.gateway.writes import Written, merged
from shared.contracts.policies import PolicyKind
from shared.kernel.rejections import Rejection
from shared.kernel.slots import limits_of

Action = Callable[..., Awaitable[Written]]


class WrittenKeypairPolicy(KeypairPolicyDocument, kw_only=True):
    """A keypair policy, and which of its limits are beyond what the cluster has."""

    warnings: list[LimitWarning]


class WrittenUserPolicy(UserPolicyDocument, kw_only=True):
    """A user policy, and which of its limits are beyond what the cluster has."""

    warnings: list[LimitWarning]


class WrittenProjectPolicy(ProjectPolicyDocument, kw_only=True):
    """A project policy, and which of its limits are beyond what the cluster has."""

    warnings: list[LimitWarning]


class Kind(NamedTuple):
    """One kind of policies: what is read, what a request may say, and what it does."""

    name: PolicyKind
    resource: Resource
    answer: type[msgspec.Struct]
    create_body: type[Body]
    patch_body: type[Body]
    create: Action
    change: Action
    remove: Action

    @property
    def path(self) -> str:
        """Return where these policies are."""
        return f"/v1/{self.name}-policies"

    def action(self, verb: str) -> str:
        """Return what the permission to do something to these policies is called."""
        return f"{self.name}-policies.{verb}"


KINDS: Final[Mapping[PolicyKind, Kind]] = {
    "keypair": Kind(
        "keypair",
        KEYPAIR_POLICIES,
        WrittenKeypairPolicy,
        keypair_policies.CreateKeypairPolicyBody,
        keypair_policies.PatchKeypairPolicyBody,
        keypair_policies.create_keypair_policy,
        keypair_policies.patch_keypair_policy,
        keypair_policies.delete_keypair_policy,
    ),
    "user": Kind(
        "user",
        USER_POLICIES,
        WrittenUserPolicy,
        user_policies.CreateUserPolicyBody,
        user_policies.PatchUserPolicyBody,
        user_policies.create_user_policy,
        user_policies.patch_user_policy,
        user_policies.delete_user_policy,
    ),
    "project": Kind(
        "project",
        PROJECT_POLICIES,
        WrittenProjectPolicy,
        project_policies.CreateProjectPolicyBody,
        project_policies.PatchProjectPolicyBody,
        project_policies.create_project_policy,
        project_policies.patch_project_policy,
        project_policies.delete_project_policy,
    ),
}


async def policy_warnings(gateway: Gateway, text: str) -> dict[str, Any]:
    """Return what makes no sense on this cluster of a policy, as members of an answer."""
    limits = limits_of(msgspec.json.decode(text).get(TOTAL, {}))
    return {"warnings": list(limit_warnings(TOTAL, limits, await capacity(gateway.reads)))}


def _create_route(kind: Kind) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any]) -> ASGIResponse:
        gateway, asked = plain(request)
        body: Any = asked.json(kind.create_body)
        return await answer_shown(
            gateway,
            asked,
            f"{kind.name}-policy.create",
            partial(kind.create, gateway, asked, body),
            kind.resource,
            body.name,
            status=201,
            more=partial(policy_warnings, gateway),
        )

    handler.__doc__ = f"Create a {kind.name} policy; its name is its identity for ever."
    options = operation(
        kind.action("create"), body=kind.create_body, answer=kind.answer, status=201
    )
    return post(kind.path, opt=options)(handler)


def _change_route(kind: Kind) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
        gateway, asked = plain(request)
        body = read_patch(asked, kind.patch_body, keypair_policies.READ_ONLY)
        return await answer_shown(
            gateway,
            asked,
            f"{kind.name}-policy.update",
            partial(kind.change, gateway, asked, key, body),
            kind.resource,
            key,
            more=partial(policy_warnings, gateway),
        )

    handler.__doc__ = f"Change a {kind.name} policy; it holds for the very next decision."
    options = operation(kind.action("update"), body=kind.patch_body, answer=kind.answer)
    return patch(f"{kind.path}/{{key:str}}", opt=options)(handler)


def _delete_route(kind: Kind) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
        gateway, asked = bare(request)
        write = partial(kind.remove, gateway, asked, key)
        return await answer_done(gateway, asked, f"{kind.name}-policy.delete", write)

    handler.__doc__ = f"Delete a {kind.name} policy that nothing uses."
    options = operation(kind.action("delete"), status=204)
    return delete(f"{kind.path}/{{key:str}}", opt=options, status_code=200)(handler)


def _references_route(kind: Kind) -> HTTPRouteHandler:
    uses = USES[kind.name]

    async def handler(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
        gateway, asked = gateway_of(request), call(request)
        policy = await gateway.reads.decoded(kind.resource, asked.caller(), key)
        if isinstance(policy, Rejection):
            raise Refused(policy)
        found = await page(gateway.reads, uses.resource, asked, within=uses.filters(key))
        may_go = await deletability(gateway.reads, kind.name, policy)
        return answer(merged(found.decode(), **msgspec.to_builtins(may_go)))

    handler.__doc__ = f"List the {uses.those[1]} that a policy is for, and whether it can go."
    options = operation(
        uses.resource.list_action,
        answer=ReferenceDocument,
        resource=uses.resource,
        page=Deletability,
    )
    return get(f"{kind.path}/{{key:str}}/references", opt=options)(handler)


ROUTES: Final = [
    route(kind)
    for kind in KINDS.values()
    for route in (_create_route, _change_route, _delete_route, _references_route)
]
