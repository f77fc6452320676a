"""The agents page: what each machine has, hands out and does, and its switch."""

from collections.abc import Iterable
from typing import Any, Final

from litestar import Request, Response, get, post

from services.gateway.actions.agents import PatchAgentBody, patch_agent
from services.gateway.auth.permissions import forbidden, may
from services.gateway.http.problems import Refused
from services.gateway.pages.console import Console
from services.gateway.pages.failures import toast
from services.gateway.pages.languages import N_
from services.gateway.pages.lists import ListRule, TabRule, listed
from services.gateway.pages.owners import list_page
from services.gateway.pages.visits import Visit
from services.gateway.reads.agents import AGENTS
from services.gateway.reads.sessions import SESSIONS
from shared.kernel.rejections import Rejection

PATH: Final = "/console/agents"
LIST: Final = ListRule(
    AGENTS,
    PATH,
    (
        TabRule("", N_("Alive"), ("ALIVE", "RESTARTING")),
        TabRule("terminated", N_("Lost and stopped"), ("LOST", "TERMINATED")),
    ),
    default_sort="id",
)
ON_AGENT: Final = ("SCHEDULED", "PREPARING", "RUNNING", "RESTARTING", "TERMINATING")


@get("/agents")
async def agents_page(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show the list; a script is given the table alone."""
    visit = Visit(request, console)
    found = await listed(visit, LIST)
    context = {
        "agents": found.documents,
        "list": found.listing,
        "tabs": found.tabs,
        "is_update": visit.is_fragment,
    }
    if visit.is_fragment:
        return visit.html("agents/_table.html", context)
    shown = {**context, "totals": await totals(visit)}
    return await visit.page("agents", "agents/page.html", shown)


@get("/agents/totals")
async def agents_totals(request: Request[Any, Any, Any], console: Console) -> Response[str]:
    """Show the sums, for scripts that read them again."""
    visit = Visit(request, console)
    if not may(visit.caller(), "agents.list"):
        raise Refused(forbidden("agents.list"))
    return visit.html("agents/_totals.html", {"totals": await totals(visit)})


@get("/agents/{agent_id:str}")
async def agent_page(
    request: Request[Any, Any, Any], console: Console, agent_id: str
) -> Response[str]:
    """Show one agent, in a drawer or on a page of its own."""
    visit = Visit(request, console)
    agent = await _one(visit, agent_id)
    context = {"agent": agent, "sessions": await _sessions_on(visit, agent_id)}
    if visit.is_fragment:
        return visit.html("agents/_detail.html", context)
    return await visit.page("agents", "agents/detail.html", context)


@post("/agents/{agent_id:str}/schedulable", status_code=200)
async def set_schedulable(
    request: Request[Any, Any, Any], console: Console, agent_id: str
) -> Response[Any]:
    """Let an agent take new sessions, or not."""
    visit = Visit(request, console)
    schedulable = visit.form().get("schedulable") == "true"
    await patch_agent(visit.gateway, visit.call, agent_id, PatchAgentBody(schedulable=schedulable))
    if not visit.is_fragment:
        return visit.go(f"{PATH}?done=changed")
    said = (
        visit.text("%(agent)s takes new sessions.")
        if schedulable
        else visit.text("%(agent)s takes no new sessions; those it has go on.")
    )
    answer = visit.html("agents/_row.html", {"agent": await _one(visit, agent_id)})
    answer.headers.update(toast(said % {"agent": agent_id}))
    return answer


async def rows(visit: Visit, agent_ids: Iterable[str]) -> list[str]:
    """Return the rendered rows of those agents that the reader may see."""
    found = [
        await visit.gateway.reads.decoded(AGENTS, visit.caller(), agent_id)
        for agent_id in agent_ids
    ]
    return [
        visit.render("agents/_row.html", {"agent": agent})
        for agent in found
        if not isinstance(agent, Rejection)
    ]


async def totals(visit: Visit) -> dict[str, Any]:
    """Return the cluster's sums as the tiles show them."""
    found = await visit.gateway.system.totals()
    used = found["occupied_slots"]
    return {
        "alive": found["agents"]["alive"],
        "known": found["agents"]["total"],
        "sessions": sum(found["sessions"].get(status, 0) for status in ON_AGENT),
        "slots": [
            {"name": name, "total": total, "used": used.get(name, "0")}
            for name, total in found["available_slots"].items()
        ],
    }


async def _one(visit: Visit, agent_id: str) -> dict[str, Any]:
    found = await visit.gateway.reads.decoded(AGENTS, visit.caller(), agent_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found


async def _sessions_on(visit: Visit, agent_id: str) -> list[dict[str, Any]]:
    query = {"status": list(ON_AGENT), "limit": ["500"]}
    found, _ = await list_page(visit.gateway.reads, SESSIONS, visit.caller(), query)
    return [session for session in found if agent_id in session["agents"]]
