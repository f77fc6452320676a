"""A machine that runs kernels, as its heartbeats tell of it."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentProfileChanged,
    AgentRevived,
    AgentSchedulableSet,
    AgentsEvent,
    AgentStatus,
    AgentTerminated,
    SetAgentSchedulable,
)
from shared.contracts.base import Event
from shared.kernel.rejections import Rejection, conflict, not_found

RETIRED_KEPT: Final = 16


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's state; `status` is `None` before the first contact.

    `retired` are incarnations that another one has followed.
    """

    status: AgentStatus | None = None
    incarnation: str = ""
    profile: AgentProfile | None = None
    schedulable: bool = True
    retired: tuple[str, ...] = ()


INITIAL: Final = Agent()


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """A heartbeat has come; the profile's resource group is one that exists."""

    agent_id: str
    incarnation: str
    profile: AgentProfile
    goodbye: Literal["stopped", "restarting"] | None = None


class FallSilent(msgspec.Struct, frozen=True, kw_only=True):
    """No heartbeat has come for longer than the timeout."""

    agent_id: str
    last_seen_at: datetime


AgentCommand: TypeAlias = Beat | FallSilent | SetAgentSchedulable


def evolve(state: Agent, event: Event) -> Agent:
    """Return the state after an event; one of another kind changes nothing."""
    change = msgspec.structs.replace
    if isinstance(event, AgentConnected):
        gone = (state.incarnation,) if state.incarnation else ()
        return change(
            state,
            status="ALIVE",
            incarnation=event.incarnation,
            profile=event.profile,
            retired=(*state.retired, *gone)[-RETIRED_KEPT:],
        )
    if isinstance(event, AgentProfileChanged):
        return change(state, profile=event.profile)
    if isinstance(event, AgentLost):
        return change(state, status="LOST")
    if isinstance(event, AgentRevived):
        return change(state, status="ALIVE")
    if isinstance(event, AgentTerminated):
        return change(state, status="RESTARTING" if event.reason == "restarting" else "TERMINATED")
    if isinstance(event, AgentSchedulableSet):
        return change(state, schedulable=event.schedulable)
    return state


def decide(
    state: Agent, command: AgentCommand, _context: None = None
) -> tuple[AgentsEvent, ...] | Rejection:
    """Return what a command brings about; nothing changed is no event."""
    if isinstance(command, Beat):
        return _decide_beat(state, command)
    if isinstance(command, FallSilent):
        if state.status != "ALIVE":
            return ()
        return (AgentLost(agent_id=command.agent_id, last_seen_at=command.last_seen_at),)
    if state.status is None:
        return not_found("agent", command.agent_id)
    if state.schedulable == command.schedulable:
        return ()
    return (AgentSchedulableSet(agent_id=command.agent_id, schedulable=command.schedulable),)


def _decide_beat(state: Agent, beat: Beat) -> tuple[AgentsEvent, ...] | Rejection:
    if beat.incarnation in state.retired:
        return conflict(
            "incarnation_retired",
            f"Another installation has taken the name of agent '{beat.agent_id}'.",
            incarnation=beat.incarnation,
        )
    if beat.goodbye is not None:
        return _decide_goodbye(state, beat, beat.goodbye)
    if beat.incarnation != state.incarnation:
        return (
            AgentConnected(
                agent_id=beat.agent_id, incarnation=beat.incarnation, profile=beat.profile
            ),
        )
    events: list[AgentsEvent] = []
    if state.status != "ALIVE":
        events.append(AgentRevived(agent_id=beat.agent_id, incarnation=beat.incarnation))
    if beat.profile != state.profile:
        events.append(
            AgentProfileChanged(
                agent_id=beat.agent_id, incarnation=beat.incarnation, profile=beat.profile
            )
        )
    return tuple(events)


def _decide_goodbye(
    state: Agent, beat: Beat, reason: Literal["stopped", "restarting"]
) -> tuple[AgentsEvent, ...]:
    told = state.status == "RESTARTING" and reason == "restarting"
    if beat.incarnation != state.incarnation or told or state.status not in {"ALIVE", "RESTARTING"}:
        return ()
    return (AgentTerminated(agent_id=beat.agent_id, reason=reason),)
