"""Recorded periods for tests, put together session by session."""

from math import inf

from services.scheduler.domain.resource_group import ResourceGroup
from services.scheduler.forecast.fleet import AgentChange, varied
from services.scheduler.forecast.recording import Job, Recording
from services.scheduler.forecast.replay import Rules, replay
from services.scheduler.placement.model import Agent, KernelPlace, Waiting, shape_of
from shared.contracts.scheduler import Variation

GROUP = "default"


def agent(name="a1", cpus=4, **more):
    return Agent(name, GROUP, "x86_64", {"cpu": cpus * 1000}, incarnation="i1", **more)


def job(turn, ready_s, run_s, cpus, **more):
    name = f"s{turn}"
    user = more.pop("user", "u1")
    shape = shape_of({"cpu": cpus * 1000}, "img", "x86_64", 1, "single-node")
    session = Waiting(
        name, more.pop("priority", 10), turn, shape, (name,), user, more.pop("scopes", ())
    )
    values = {
        "was_ready_s": ready_s,
        "started_s": None,
        "is_open": False,
        "leaves_s": inf,
        "after": (),
        "places": (),
        **more,
    }
    return Job(session, ready_s, run_s=run_s, **values)


def held(turn, started_s, run_s, cpus, on="a1", **more):
    """Return a session that had its place on an agent when the period began."""
    places = (KernelPlace(f"s{turn}", on, {}),)
    return job(turn, started_s, run_s, cpus, started_s=started_s, places=places, **more)


def recording(*jobs, length_s=1000.0, later=(), **group):
    first = (0.0, ResourceGroup(name=GROUP, **group))
    return Recording(length_s, tuple(jobs), (first, *later), 0)


def changes(*agents):
    return tuple(AgentChange(0.0, one) for one in agents)


def starts(found, agents=None, limits=None, retry_s=1.0, **variation):
    """Replay and return when each session would start."""
    wanted = Variation(**variation)
    fleet = varied(changes(agent()) if agents is None else agents, wanted, GROUP)
    stays = replay(found, fleet, Rules(limits or {}, retry_s=retry_s), wanted)
    return {name: stay.started_s for name, stay in stays.items()}
