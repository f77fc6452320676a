"""Agents that a request designates, and requests that no agent may ever hold."""

import pytest

from services.scheduler.agents_view import AgentsView
from services.scheduler.domain.enqueue import decide
from services.scheduler.placement.model import Agent, shape_of
from services.scheduler.placement.reasons import never_fits
from services.scheduler.waiting_room import held_of
from shared.contracts.agents import AgentTerminated, ImageDiscovered
from shared.kernel.rejections import Rejection
from tests.scheduler.unit.sessions import enqueued
from tests.scheduler.unit.test_agents_view import connected, view
from tests.scheduler.unit.test_enqueue_rules import command, facts, wrong_fields

FLEET = {
    agent.agent_id: agent
    for agent in (
        Agent("big", "default", "x86_64", {"cpu": 8000}),
        Agent("small", "default", "x86_64", {"cpu": 1000}),
        Agent("other", "lab", "x86_64", {"cpu": 8000}),
        Agent("dead", "default", "x86_64", {"cpu": 8000}, alive=False),
        Agent("closed", "default", "x86_64", {"cpu": 8000}, schedulable=False),
        Agent("gone", "default", "x86_64", {"cpu": 8000}, alive=False, gone=True),
        Agent("bare", "default", "x86_64", {"cpu": 8000}, images=frozenset({"else"})),
    )
}


def decided(*agents, **more):
    return decide(
        command(designated_agents=agents, **more),
        facts(
            find_agent=FLEET.get,
            impossible=lambda shape: never_fits(FLEET.values(), "default", shape),
        ),
    )


def test_a_session_is_bound_to_the_agents_that_are_designated():
    (event,) = decided("small", "big", "small")
    assert event.designated_agents == ("big", "small")
    held = held_of(event, 1, None, {})
    assert held.waiting.shape.designated == ("big", "small")
    assert held_of(enqueued(), 1, None, {}).waiting.shape.designated == ()


def test_an_agent_that_takes_nothing_new_may_be_designated_and_is_waited_for():
    assert isinstance(decided("closed"), tuple)


@pytest.mark.parametrize(
    ("agent", "code"),
    [
        ("nobody", "agent_not_found"),
        ("other", "agent_not_found"),
        ("gone", "agent_not_found"),
        ("dead", "agent_not_alive"),
        ("bare", "image_not_offered"),
    ],
)
def test_a_designated_agent_is_of_the_group_alive_and_has_the_image(agent, code):
    refusal = decided(agent)
    assert wrong_fields(refusal) == {"designated_agents": code}
    assert refusal.code == code


def test_what_the_designated_agents_could_never_hold_is_refused_though_others_could():
    refusal = decided("small", resources={"cpu": 2000})
    assert isinstance(refusal, Rejection)
    assert refusal.code == "no_agent_could_hold"
    assert isinstance(decided("small", "big", resources={"cpu": 2000}), tuple)


def test_designating_too_many_agents_is_refused():
    refusal = decided(*(f"a{number}" for number in range(1001)))
    assert wrong_fields(refusal) == {"designated_agents": "too_many"}


def test_a_cluster_on_one_node_has_no_more_kernels_than_an_agent_may_have():
    agents = [Agent("a1", "default", "x86_64", {"cpu": 64_000})]
    shape = shape_of({"cpu": 1000}, "img", "x86_64", 3, "single-node")
    assert never_fits(agents, "default", shape, 3) is None
    impossible = never_fits(agents, "default", shape, 2)
    (violation,) = impossible.violations
    assert (violation.slot, violation.requested, violation.limit) == ("containers", "3", "2")
    refusal = decide(
        command(cluster_size=3),
        facts(impossible=lambda shape: never_fits(agents, "default", shape, 2)),
    )
    assert wrong_fields(refusal) == {"cluster_size": "no_agent_could_hold"}


def test_a_cluster_over_several_nodes_needs_as_many_agents_as_the_containers_are_spread_over():
    agents = [Agent(f"a{number}", "default", "x86_64", {"cpu": 64_000}) for number in range(2)]
    shape = shape_of({"cpu": 1000}, "img", "x86_64", 5, "multi-node")
    assert never_fits(agents, "default", shape) is None
    assert never_fits(agents, "default", shape, 3) is None
    impossible = never_fits(agents, "default", shape, 2)
    assert impossible.message == "All agents of default together could hold 4 of 5 kernels."


def test_a_verdict_is_judged_anew_when_agents_may_have_more_containers():
    seen = view(connected())
    shape = shape_of({"cpu": 1000}, "img", "x86_64", 2, "single-node")
    assert seen.impossible("default", shape, 1) is not None
    assert seen.impossible("default", shape, 2) is None
    assert seen.impossible("default", shape) is None


def test_the_architecture_is_that_of_the_designated_agents():
    seen = view(connected("a1"), connected("a2", architecture="aarch64"))
    assert seen.architecture_of("img", "default") == "aarch64"
    assert seen.architecture_of("img", "default", ("a1",)) == "x86_64"


def test_an_image_needs_what_it_was_found_with_last_on_that_architecture():
    def found(architecture, cpu, **labels):
        return ImageDiscovered(
            canonical="img",
            architecture=architecture,
            digest="",
            size_bytes=0,
            minimum={"cpu": cpu},
            labels=labels,
        )

    shmem = {"ai.backend.resource.preferred.shmem": "64m"}
    seen = view(connected(), found("x86_64", 1000), found("aarch64", 9000))
    assert seen.needs_of("img", "default") == ({"cpu": 1000}, None)
    seen.apply(found("x86_64", 2000, **shmem))
    assert seen.needs_of("img", "default") == ({"cpu": 2000}, 64 * 2**20)
    assert seen.needs_of("unknown", "default") == ({}, None)


def test_the_slots_of_a_group_are_those_of_the_agents_that_are_not_gone():
    seen = view(connected("a1"), connected("a2", available_slots={"cuda.shares": 1000}))
    assert seen.slots_in("default") == {"cpu", "cuda.shares"}
    seen.apply(AgentTerminated(agent_id="a2", reason="stopped"))
    assert seen.slots_in("default") == {"cpu"}
    assert AgentsView().slots_in("default") == frozenset()
