"""`/v1/agents`: the switch that lets an agent take new sessions."""

from typing import Any, Final

from litestar import Request, patch
from litestar.response.base import ASGIResponse

from services.gateway.actions.agents import PatchAgentBody, patch_agent
from services.gateway.api.lists import no_parameters
from services.gateway.api.routing import call, gateway_of, operation, pending, respond
from services.gateway.documents.agents import AgentDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.problems import Refused
from services.gateway.reads.agents import AGENTS
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection


@patch(
    "/v1/agents/{key:str}",
    opt=operation("agents.update", body=PatchAgentBody, answer=AgentDocument),
)
async def patch_one(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Let an agent take new sessions, or not; what runs there goes on."""
    gateway, asked = gateway_of(request), call(request)
    no_parameters(asked)
    body = asked.json(PatchAgentBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await patch_agent(gateway, asked, key, body, once)
        if not written.is_visible:
            return pending(gateway, asked, "agent.update", written, b"{}")
        found = await gateway.reads.document(AGENTS, asked.caller(), key)
        if isinstance(found, Rejection):
            raise Refused(found)
        return Answered(200, found.encode())

    return respond(await gateway.answers.once(asked, perform))


ROUTES: Final = [patch_one]
