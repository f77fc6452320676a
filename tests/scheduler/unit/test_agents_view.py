"""What the scheduler makes of the agents' events."""

from services.scheduler.agents_view import AgentsView
from services.scheduler.placement.model import shape_of
from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentProfileChanged,
    AgentRevived,
    AgentSchedulableSet,
    AgentTerminated,
    DeviceInfo,
    ImageDiscovered,
)
from tests.scheduler.unit.sessions import START


def profile(**more):
    values = {
        "address": "x",
        "region": "local",
        "architecture": "x86_64",
        "version": "1",
        "resource_group": "default",
        "runtime": "process",
        "available_slots": {"cpu": 4000},
        "images": ("img",),
        **more,
    }
    return AgentProfile(**values)


def connected(agent_id="a1", incarnation="i1", **more):
    return AgentConnected(agent_id=agent_id, incarnation=incarnation, profile=profile(**more))


def view(*events):
    seen = AgentsView()
    for event in events:
        seen.apply(event)
    return seen


def test_an_agent_is_what_its_profile_says():
    device = DeviceInfo(device_id="g0", slot="cuda.device", amount=1000)
    agent = view(connected(devices=(device,))).agents["a1"]
    assert (agent.group, agent.capacity, agent.images) == (
        "default",
        {"cpu": 4000},
        frozenset({"img"}),
    )
    assert agent.devices[0].device_id == "g0"
    assert agent.alive
    assert agent.schedulable


def test_a_runtime_that_can_fetch_images_offers_any():
    assert view(connected(runtime="container")).agents["a1"].images is None


def test_a_node_that_could_fetch_offers_only_what_it_has_while_nothing_shall_be_fetched():
    seen = view(connected(runtime="container"), connected("a2"))
    (changed,) = seen.let_fetch(allowed=False)
    assert changed == seen.agents["a1"]
    assert changed.images == frozenset({"img"})
    assert seen.let_fetch(allowed=False) == ()
    pulled = profile(runtime="container", images=("img", "more"))
    seen.apply(AgentProfileChanged(agent_id="a1", incarnation="i1", profile=pulled))
    assert seen.agents["a1"].images == frozenset({"img", "more"})
    (changed,) = seen.let_fetch(allowed=True)
    assert changed.images is None
    assert seen.agents["a2"].images == frozenset({"img"})


def test_the_digest_that_an_image_shall_have_is_that_of_the_agents_architecture():
    seen = view(connected(), connected("a2", architecture="aarch64"))
    for architecture, digest in (("x86_64", "sha256:x"), ("aarch64", "sha256:a")):
        seen.apply(
            ImageDiscovered(canonical="img", architecture=architecture, digest=digest, size_bytes=0)
        )
    assert [seen.digest_for(one, "img") for one in ("a1", "a2")] == ["sha256:x", "sha256:a"]
    assert seen.digest_for("a1", "other") == ""
    assert seen.digest_for("nobody", "img") == ""


def test_losing_and_reviving_changes_only_whether_it_is_alive():
    seen = view(connected(), AgentLost(agent_id="a1", last_seen_at=START))
    assert not seen.is_alive("a1")
    seen.apply(AgentRevived(agent_id="a1", incarnation="i1"))
    assert seen.is_alive("a1")


def test_an_agent_that_said_goodbye_for_good_is_gone_and_one_that_restarts_is_not():
    for reason, gone in (("stopped", True), ("restarting", False)):
        agent = view(connected(), AgentTerminated(agent_id="a1", reason=reason)).agents["a1"]
        assert (agent.alive, agent.gone) == (False, gone)


def test_schedulable_outlives_a_new_profile_and_a_new_incarnation():
    closed = AgentSchedulableSet(agent_id="a1", schedulable=False)
    changed = AgentProfileChanged(agent_id="a1", incarnation="i1", profile=profile())
    for event in (changed, connected(incarnation="i2")):
        assert not view(connected(), closed, event).agents["a1"].schedulable


def test_only_an_incarnation_that_was_seen_before_is_over():
    seen = view(connected(), connected(incarnation="i2"))
    assert seen.is_over("a1", "i1")
    assert not seen.is_over("a1", "i2")
    assert not seen.is_over("a1", "i3")


def test_an_image_has_the_architecture_that_the_group_has():
    seen = view(
        ImageDiscovered(canonical="img", architecture="aarch64", digest="", size_bytes=0),
        connected("a1", architecture="x86_64"),
        connected("a2", resource_group="arm", architecture="aarch64"),
    )
    assert seen.architecture_of("img", "default") == "x86_64"
    assert seen.architecture_of("img", "arm") == "aarch64"
    assert seen.architecture_of("unknown", "default") is None
    assert seen.architecture_of("img", "empty") == "aarch64"


def test_what_can_never_be_held_is_judged_anew_when_an_agent_grows():
    seen = view(connected())
    shape = shape_of({"cpu": 8000}, "img", "x86_64", 1, "single-node")
    assert seen.impossible("default", shape) is not None
    bigger = profile(available_slots={"cpu": 8000})
    seen.apply(AgentProfileChanged(agent_id="a1", incarnation="i1", profile=bigger))
    assert seen.impossible("default", shape) is None
