"""A recorded period replayed: as it was, and as it would have been under other options."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain.resource_group import ResourceGroup
from services.scheduler.domain.scopes import Ceiling
from services.scheduler.forecast.fleet import AgentChange, capacity, served, varied
from services.scheduler.forecast.metrics import figures
from services.scheduler.forecast.replay import Rules, Stay, recorded, replay
from services.scheduler.placement.model import GroupOptions
from shared.contracts.scheduler import Variation
from tests.scheduler.trace import Trace
from tests.scheduler.unit.recordings import GROUP, agent, changes, held, job, recording, starts
from tests.scheduler.unit.twin import Twin

# one agent of four CPUs: the second wants all of it, and the third would fit beside the first
HEAD_OF_LINE = (job(1, 0.0, 100.0, 3), job(2, 1.0, 50.0, 4), job(3, 2.0, 10.0, 1))


def test_the_first_in_line_holds_up_those_behind_it_unless_the_scheduler_is_another():
    found = recording(*HEAD_OF_LINE, retries_to_skip=0)
    assert starts(found) == {"s1": 0.0, "s2": 100.0, "s3": 150.0}
    assert starts(found, scheduler="lifo") == {"s1": 0.0, "s2": 100.0, "s3": 2.0}
    assert starts(found, scheduler="drf") == {"s1": 0.0, "s2": 100.0, "s3": 150.0}
    other_user = (*HEAD_OF_LINE[:2], job(3, 2.0, 10.0, 1, user="u2"))
    shared = recording(*other_user, retries_to_skip=0)
    assert starts(shared, scheduler="drf") == {"s1": 0.0, "s2": 100.0, "s3": 2.0}


def test_a_blocked_head_is_passed_over_after_as_many_tries_as_the_variation_says():
    found = recording(*HEAD_OF_LINE, retries_to_skip=0)
    # tried when it comes, and once a second as soon as somebody waits behind it
    assert starts(found, retries_to_skip=3)["s3"] == 5.0
    assert starts(found, retries_to_skip=2)["s3"] == 4.0
    assert starts(recording(*HEAD_OF_LINE, retries_to_skip=3))["s3"] == 5.0


def test_with_more_agents_nobody_waits_and_with_fewer_those_who_do_not_fit_wait_on():
    found = recording(*HEAD_OF_LINE, retries_to_skip=0)
    assert starts(found, add_agents=1) == {"s1": 0.0, "s2": 1.0, "s3": 2.0}
    assert starts(found, scale_agents=2.0) == starts(found, add_agents=1)
    two = changes(agent("a1"), agent("a2", cpus=1))
    assert starts(found, two)["s3"] == 100.0
    # the last one by its id is left out, and with it the room of the third
    assert starts(found, two, remove_agents=1) == {"s1": 0.0, "s2": 100.0, "s3": 150.0}
    assert starts(found, changes(agent(cpus=3)))["s2"] is None


def test_what_ran_and_waited_before_takes_part_in_its_place_and_its_turn():
    found = recording(
        held(1, -50.0, 80.0, 3),
        job(2, -20.0, 10.0, 4),
        job(3, 5.0, 10.0, 4),
        retries_to_skip=0,
    )
    assert starts(found) == {"s1": -50.0, "s2": 30.0, "s3": 40.0}
    # on an agent that is taken away it runs to its end, and nothing comes after it
    assert starts(found, changes(agent("a0"), agent("a1")), remove_agents=1)["s2"] == 0.0


def test_who_gave_up_leaves_the_queue_unless_it_has_started_by_then():
    jobs = (job(1, 0.0, 100.0, 4), job(2, 1.0, 50.0, 4, leaves_s=60.0), job(3, 2.0, 10.0, 4))
    found = recording(*jobs, retries_to_skip=0)
    assert starts(found) == {"s1": 0.0, "s2": None, "s3": 100.0}
    assert starts(found, add_agents=1) == {"s1": 0.0, "s2": 1.0, "s3": 51.0}
    early = job(1, 50.0, 10.0, 1, leaves_s=20.0)  # it gave up before its time had come
    assert starts(recording(early)) == recorded(recording(early)) == {}


def test_who_depends_on_others_begins_to_wait_when_they_have_ended_in_the_replay():
    jobs = (
        job(1, 0.0, 100.0, 4),
        job(2, 1.0, 50.0, 4),
        job(3, 2.0, 10.0, 1, after=("s1", "s2"), was_ready_s=150.0),
    )
    found = recording(*jobs, retries_to_skip=0)
    assert starts(found) == {"s1": 0.0, "s2": 100.0, "s3": 150.0}
    stays = replay(found, changes(agent("a1"), agent("a2")), Rules({}), Variation(add_agents=1))
    assert stays["s3"] == Stay(100.0, 100.0)
    gone = recording(*jobs[:2], jobs[2]._replace(leaves_s=20.0), retries_to_skip=0)
    assert "s3" not in starts(gone)
    assert "s3" not in recorded(gone)


def test_agents_come_and_go_as_they_did_and_their_copies_with_them():
    found = recording(job(1, 0.0, 10.0, 4), job(2, 0.0, 10.0, 4), job(3, 40.0, 10.0, 4))
    agents = (
        AgentChange(0.0, agent(alive=False)),
        AgentChange(30.0, agent()),
        AgentChange(45.0, agent(alive=False)),
        AgentChange(100.0, agent()),
    )
    assert starts(found, agents) == {"s1": 30.0, "s2": 40.0, "s3": 100.0}
    assert starts(found, agents, add_agents=1) == {"s1": 30.0, "s2": 30.0, "s3": 40.0}
    assert served(agents, GROUP) == ["a1"]
    assert capacity(agents, GROUP, 1000.0) == {"cpu": 4000 * (15 + 900)}
    twice = varied(agents, Variation(scale_agents=2.0), GROUP)
    assert capacity(twice, GROUP, 1000.0) == {"cpu": 2 * 4000 * (15 + 900)}


def test_limits_and_changes_of_the_group_hold_in_a_replay():
    scopes = ("keypair:k",)
    jobs = [job(turn, 0.0, 10.0, 1, scopes=scopes) for turn in (1, 2, 3)]
    one_at_once = {"keypair:k": Ceiling({}, max_sessions=1), "keypair:other": Ceiling({})}
    assert starts(recording(*jobs), limits=one_at_once) == {"s1": 0.0, "s2": 10.0, "s3": 20.0}
    before = held(1, -10.0, 40.0, 1, scopes=scopes)
    assert starts(recording(before, jobs[1]), limits=one_at_once) == {"s1": -10.0, "s2": 30.0}
    closed = [(0.0, ResourceGroup(name=GROUP, is_active=False))]
    opened = (5.0, ResourceGroup(name=GROUP))
    found = recording(*jobs)._replace(groups=(*closed, opened))
    assert starts(found) == {"s1": 5.0, "s2": 5.0, "s3": 5.0}


@pytest.mark.parametrize("scheduler", ["fifo", "lifo", "drf"])
def test_the_replay_of_a_history_without_a_change_is_that_history(scheduler):
    trace = Trace(7, scheduler=scheduler, agents=3)
    sessions = []
    for _ in range(400):
        session = trace.next()
        sessions.append((session, trace.now))
        trace.enter(session)
    jobs = tuple(
        job(session.turn, at, trace.kernels[session.session_id], 1)._replace(
            session=session, started_s=trace.started[session.session_id]
        )
        for session, at in sessions
    )
    found = recording(*jobs, length_s=trace.now + 1e-9, scheduler=scheduler)
    agents = changes(*(row.agent for row in trace.planner.cluster.rows.values()))
    # in a trace no time passes between two tries
    again = replay(found, agents, Rules({}, retry_s=0.0), Variation())
    assert again == recorded(found)
    waited = sum(1 for stay in again.values() if stay.started_s != stay.ready_s)
    assert waited > 50
    usual = figures(found, again, capacity(agents, GROUP, found.length_s))
    assert usual == figures(found, recorded(found), capacity(agents, GROUP, found.length_s))


JOBS = st.lists(
    st.tuples(
        st.integers(0, 30),  # when it comes
        st.integers(1, 20),  # for how long it runs
        st.integers(1, 5),  # CPUs
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from([10, 10, 20]),
        st.sampled_from([1000, 1000, 1000, 5, 15]),  # how long it waits until it gives up
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(
    JOBS,
    st.sampled_from(["fifo", "lifo", "drf"]),
    st.sampled_from(["dispersed", "concentrated", "roundrobin", "legacy"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_a_replay_is_what_one_would_get_by_going_through_the_seconds(
    wanted, scheduler, strategy, cpus
):
    jobs = [
        job(
            turn,
            float(at),
            float(run),
            size,
            user=user,
            priority=priority,
            scopes=(f"user:{user}",),
            leaves_s=float(at + patience),
        )
        for turn, (at, run, size, user, priority, patience) in enumerate(sorted(wanted), start=1)
    ]
    found = recording(*jobs, length_s=60.0, scheduler=scheduler, retries_to_skip=0)
    agents = [agent(f"a{number}", cpus=count) for number, count in enumerate(cpus)]
    limits = {"user:u1": Ceiling({}, max_sessions=1), "user:u2": Ceiling({"cpu": 4000})}
    fast = starts(found, changes(*agents), limits, agent_selection_strategy=strategy)
    assert fast == by_the_second(found, agents, limits, scheduler, strategy)


def by_the_second(found, agents, limits, scheduler, strategy):
    """Replay in the slow way: look at everything in every second."""
    twin = Twin(GroupOptions(GROUP, scheduler=scheduler, strategy=strategy, retries_to_skip=0))
    twin.agents = {one.agent_id: one for one in agents}
    twin.limits = {
        scope: (one.slots, one.default, one.max_sessions) for scope, one in limits.items()
    }
    began = {}
    runs = {one.session.session_id: one.run_s for one in found.jobs}
    for second in range(int(found.length_s)):
        for name in list(twin.charged):
            if began[name] + runs[name] == second:
                del twin.charged[name], twin.holdings[name]
        for one in found.jobs:
            name = one.session.session_id
            if one.leaves_s == second:
                twin.queue.pop(name, None)
            if one.ready_s == second:
                began[name] = None
                twin.queue[name] = [one.session, 0, False]
        began.update(dict.fromkeys((name for name, _ in twin.run(1000)), float(second)))
    return began
