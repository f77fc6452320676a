"""What heartbeats, their absence and administrators make of an agent."""

from datetime import UTC, datetime

import msgspec
import pytest

from services.agents.domain import agent
from services.agents.domain.agent import Beat, FallSilent
from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentProfileChanged,
    AgentRevived,
    AgentSchedulableSet,
    AgentTerminated,
    SetAgentSchedulable,
)
from shared.eventlog.decider import Decider
from shared.testing.spec import given

AGENT = Decider(agent.INITIAL, agent.evolve, agent.decide)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROFILE = AgentProfile(
    address="process://a",
    region="local",
    architecture="x86_64",
    version="1",
    resource_group="default",
    runtime="process",
    available_slots={"cpu": 2000, "mem": 2**30},
)
BIGGER = msgspec.structs.replace(PROFILE, available_slots={"cpu": 4000, "mem": 2**30})
BEAT = Beat(agent_id="a", incarnation="one", profile=PROFILE)
CONNECTED = AgentConnected(agent_id="a", incarnation="one", profile=PROFILE)
LOST = AgentLost(agent_id="a", last_seen_at=NOON)
SILENCE = FallSilent(agent_id="a", last_seen_at=NOON)


def beat(**fields: object) -> Beat:
    return msgspec.structs.replace(BEAT, **fields)


def test_the_first_heartbeat_connects_an_agent():
    decided = given(AGENT).when(BEAT).then(CONNECTED)
    assert decided.state.status == "ALIVE"
    assert decided.state.schedulable


def test_a_heartbeat_that_says_nothing_new_writes_nothing():
    given(AGENT, CONNECTED).when(BEAT).nothing()


def test_other_slots_are_a_change_of_the_profile():
    given(AGENT, CONNECTED).when(beat(profile=BIGGER)).then(
        AgentProfileChanged(agent_id="a", incarnation="one", profile=BIGGER)
    )


def test_a_silent_agent_is_lost_once():
    assert given(AGENT, CONNECTED).when(SILENCE).then(LOST).state.status == "LOST"
    given(AGENT, CONNECTED, LOST).when(SILENCE).nothing()
    given(AGENT).when(SILENCE).nothing()


@pytest.mark.parametrize(
    "gone",
    [
        LOST,
        AgentTerminated(agent_id="a", reason="stopped"),
        AgentTerminated(agent_id="a", reason="restarting"),
    ],
)
def test_an_agent_that_was_gone_is_revived_by_its_next_heartbeat(gone):
    revived = AgentRevived(agent_id="a", incarnation="one")
    assert given(AGENT, CONNECTED, gone).when(BEAT).then(revived).state.status == "ALIVE"


def test_an_agent_comes_back_with_another_profile():
    given(AGENT, CONNECTED, LOST).when(beat(profile=BIGGER)).then(
        AgentRevived(agent_id="a", incarnation="one"),
        AgentProfileChanged(agent_id="a", incarnation="one", profile=BIGGER),
    )


def test_another_incarnation_connects_anew():
    two = AgentConnected(agent_id="a", incarnation="two", profile=PROFILE)
    given(AGENT, CONNECTED).when(beat(incarnation="two")).then(two)


def test_an_incarnation_that_was_followed_by_another_is_refused():
    two = AgentConnected(agent_id="a", incarnation="two", profile=PROFILE)
    given(AGENT, CONNECTED, two).when(BEAT).rejected("incarnation_retired")
    given(AGENT, CONNECTED, two).when(beat(goodbye="stopped")).rejected("incarnation_retired")


def test_a_goodbye_terminates_a_living_agent():
    stopped = AgentTerminated(agent_id="a", reason="stopped")
    assert (
        given(AGENT, CONNECTED).when(beat(goodbye="stopped")).then(stopped).state.status
        == "TERMINATED"
    )
    given(AGENT, CONNECTED, stopped).when(beat(goodbye="stopped")).nothing()


def test_a_restart_that_became_a_stop_is_told():
    restarting = AgentTerminated(agent_id="a", reason="restarting")
    assert (
        given(AGENT, CONNECTED).when(beat(goodbye="restarting")).then(restarting).state.status
        == "RESTARTING"
    )
    given(AGENT, CONNECTED, restarting).when(beat(goodbye="restarting")).nothing()
    given(AGENT, CONNECTED, restarting).when(beat(goodbye="stopped")).then(
        AgentTerminated(agent_id="a", reason="stopped")
    )


def test_the_goodbye_of_an_agent_that_is_lost_or_unknown_is_ignored():
    given(AGENT, CONNECTED, LOST).when(beat(goodbye="stopped")).nothing()
    given(AGENT).when(beat(goodbye="stopped")).nothing()


def test_an_agent_is_set_unschedulable_once_in_any_status():
    off = SetAgentSchedulable(agent_id="a", schedulable=False)
    told = AgentSchedulableSet(agent_id="a", schedulable=False)
    given(AGENT, CONNECTED).when(off).then(told)
    given(AGENT, CONNECTED, LOST).when(off).then(told)
    given(AGENT, CONNECTED, told).when(off).nothing()
    given(AGENT, CONNECTED, told, LOST).when(BEAT).then(
        AgentRevived(agent_id="a", incarnation="one")
    )


def test_nobody_sets_an_agent_that_was_never_seen():
    given(AGENT).when(SetAgentSchedulable(agent_id="a", schedulable=False)).rejected(
        "agent_not_found"
    )
