"""`/v1/agents`: the switch that lets an agent take new sessions."""

from functools import partial
from typing import Any, Final

from litestar import Request, patch
from litestar.response.base import ASGIResponse

from services.gateway.actions.agents import PatchAgentBody, patch_agent
from services.gateway.api.routing import answer_shown, operation, plain
from services.gateway.documents.agents import AgentDocument
from services.gateway.reads.agents import AGENTS


@patch(
    "/v1/agents/{key:str}",
    opt=operation("agents.update", body=PatchAgentBody, answer=AgentDocument),
)
async def patch_one(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Let an agent take new sessions, or not; what runs there goes on."""
    gateway, asked = plain(request)
    body = asked.json(PatchAgentBody)
    write = partial(patch_agent, gateway, asked, key, body)
    return await answer_shown(gateway, asked, "agent.update", write, AGENTS, key)


ROUTES: Final = [patch_one]
