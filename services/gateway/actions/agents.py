"""Letting agents take new sessions, or not."""

from services.gateway.auth.permissions import Verdict, forbidden, judge
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.agents import AGENTS
from services.gateway.writes import Written
from shared.contracts.agents import SetAgentSchedulable
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection, invalid


class PatchAgentBody(Body, frozen=True, kw_only=True):
    """What can be changed of an agent."""

    schedulable: bool | None = None


async def patch_agent(
    gateway: Gateway,
    call: Call,
    agent_id: str,
    body: PatchAgentBody,
    key: CommandKey | None = None,
) -> Written:
    """Set the switch; what runs on the agent goes on."""
    principal = call.caller()
    found = await gateway.reads.stored(AGENTS, principal, agent_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    if judge(principal, "agents.update", read_action="agents.read") is not Verdict.ALLOWED:
        raise Refused(forbidden("agents.update"))
    if body.schedulable is None:
        raise Refused(invalid("schedulable", "required", "Say whether schedulable is true."))
    command = SetAgentSchedulable(agent_id=agent_id, schedulable=body.schedulable)
    return await gateway.writes.perform(call, command, key)
