"""`POST /v1/{keypair,user,project}-policies/{name}/impact`: what a change would mean."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from services.gateway.actions.keypair_policies import READ_ONLY, keypair_policy_change
from services.gateway.actions.project_policies import project_policy_change
from services.gateway.actions.user_policies import user_policy_change
from services.gateway.api.policies import KINDS, Kind
from services.gateway.api.routing import answer, operation, plain
from services.gateway.documents.impact import Impact, ImpactBody
from services.gateway.http.patches import read_patch
from services.gateway.http.problems import Refused
from services.gateway.reads.policy_impact import Change, policy_impact
from shared.contracts.policies import PolicyKind
from shared.kernel.rejections import Rejection

CHANGES: Final[Mapping[PolicyKind, Callable[[dict[str, Any], Any], Change]]] = {
    "keypair": keypair_policy_change,
    "user": user_policy_change,
    "project": project_policy_change,
}


def _impact_route(kind: Kind) -> HTTPRouteHandler:
    async def handler(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
        gateway, asked = plain(request)
        patch = msgspec.json.encode(asked.json(ImpactBody).patch)
        body: Any = read_patch(
            msgspec.structs.replace(asked, body=patch), kind.patch_body, READ_ONLY
        )
        policy = await gateway.reads.decoded(kind.resource, asked.caller(), key)
        if isinstance(policy, Rejection):
            raise Refused(policy)
        change = CHANGES[kind.name](policy, body)
        # the service refuses what it would refuse of the change itself, and changes nothing
        checked = msgspec.structs.replace(change, check_only=True)
        await gateway.writes.submit(checked, asked.meta())
        now = gateway.clock.now()
        found = await policy_impact(gateway.reads, kind.name, policy, change, now)
        return answer(msgspec.json.encode(found))

    handler.__doc__ = f"Tell who would be over the limits if a {kind.name} policy were changed so."
    options = operation(kind.action("impact"), body=ImpactBody, answer=Impact)
    return post(f"{kind.path}/{{key:str}}/impact", opt=options, status_code=200)(handler)


ROUTES: Final = [_impact_route(kind) for kind in KINDS.values()]
