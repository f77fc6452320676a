from hypothesis import given
from hypothesis import strategies as st

from services.gateway.documents.limits import LimitDocument, ScopeLimits
from services.gateway.reads.agent_room import AgentRoom, rooms_of
from services.gateway.reads.preset_fit import Place, group_room, no_room, over_limit, remaining
from shared.kernel.slots import render_amount

GIB = 2**30
NONE = frozenset()


def agent(name, free, *, status="ALIVE", schedulable=True):
    return AgentRoom(name, status, schedulable, {"cpu": 8000, "mem": 64 * GIB}, free)


def place(*agents, is_active=True):
    return Place("g", is_active, rooms_of(agents))


def limit(field, amount, used, slot=None):
    shown = [amount, used, None if amount is None else max(amount - used, 0)]
    if slot is not None:
        shown = [None if one is None else render_amount(slot, one) for one in shown]
    return LimitDocument(field=field, slot=slot, limit=shown[0], used=shown[1], remaining=shown[2])


def scope(*limits, kind="keypair"):
    return ScopeLimits(scope=kind, id="x", name="x", policy="p", limits=list(limits))


def total(slot, amount, used):
    return limit("total_resource_slots", amount, used, slot)


def test_one_agent_must_have_all_of_it():
    preset = {"cpu": 4000, "mem": 8 * GIB}
    halves = place(
        agent("a", {"cpu": 3000, "mem": 64 * GIB}), agent("b", {"cpu": 3000, "mem": 64 * GIB})
    )
    reason = no_room(preset, [halves])
    assert (reason.code, reason.violations[0].slot) == ("not-enough-resources", "cpu")
    assert (reason.violations[0].limit, reason.violations[0].short_by) == ("3", "1")
    whole = place(*halves.rooms.agents, agent("c", {"cpu": 4000, "mem": 8 * GIB}))
    assert no_room(preset, [whole]) is None


def test_each_part_on_another_agent_is_not_enough():
    preset = {"cpu": 4000, "mem": 8 * GIB}
    apart = place(agent("a", {"cpu": 8000, "mem": 0}), agent("b", {"cpu": 0, "mem": 64 * GIB}))
    reason = no_room(preset, [apart])
    assert (reason.code, reason.violations) == ("not-enough-resources", ())
    assert "not all of it on one" in reason.message


def test_agents_that_take_nothing_new_do_not_count():
    free, preset = {"cpu": 8000, "mem": 64 * GIB}, {"cpu": 1000}
    cases = {
        "no-agents": place(),
        "no-agent-alive": place(agent("a", free, status="LOST")),
        "no-agent-schedulable": place(agent("a", free, schedulable=False)),
        "group-inactive": place(agent("a", free), is_active=False),
    }
    assert {code: no_room(preset, [where]).code for code, where in cases.items()} == {
        code: code for code in cases
    }


def test_a_slot_that_no_agent_has_is_said_to_be_so():
    reason = no_room({"cpu": 1000, "cuda.device": 1000}, [place(agent("a", {"cpu": 8000}))])
    assert reason.code == "slot-not-offered"
    assert "cuda.device" in reason.message


def test_a_limit_that_would_be_exceeded_is_told_with_its_numbers():
    scopes = [scope(total("cpu", 5000, 4000), limit("max_concurrent_sessions", 3, 3))]
    reason = over_limit({"cpu": 2000}, scopes, NONE)
    told = [
        (one.scope, one.slot, one.used, one.requested, one.limit, one.short_by)
        for one in reason.violations
    ]
    assert told == [
        ("keypair:x", "cpu", "4", "2", "5", "1"),
        ("keypair:x", "sessions", "3", "1", "3", "1"),
    ]
    assert over_limit({"cpu": 1000}, scopes[:1], NONE) is not None
    assert over_limit({"cpu": 1000}, [scope(total("cpu", 5000, 4000))], NONE) is None


def test_what_waits_already_can_be_in_the_way():
    waiting = limit("max_pending_session_resource_slots", 2000, 1000, "cpu")
    assert over_limit({"cpu": 2000}, [scope(waiting)], NONE).violations[0].slot == "cpu"
    full = limit("max_pending_session_count", 1, 1)
    reason = over_limit({"cpu": 1000}, [scope(full)], NONE)
    assert reason.violations[0].slot == "max_pending_session_count"


def test_the_numbers_of_a_hidden_scope_are_not_told():
    reason = over_limit(
        {"cpu": 2000}, [scope(total("cpu", 777, 333), kind="project")], frozenset({"project"})
    )
    assert reason.violations[0].scope == "project:x"
    assert (reason.violations[0].used, reason.violations[0].limit) == (None, None)
    assert "777" not in reason.message
    assert "333" not in reason.message


def test_what_remains_is_the_least_that_any_limit_leaves():
    found = remaining(
        [
            scope(total("cpu", 5000, 1000), total("mem", None, 5)),
            scope(total("cpu", 3000, 2000), total("mem", None, 0), kind="domain"),
        ]
    )
    assert found == {"cpu": "1", "mem": None}


amounts = st.dictionaries(st.sampled_from(("cpu", "mem", "x")), st.integers(0, 5))


@given(preset=amounts, free=st.lists(amounts, max_size=4))
def test_there_is_a_reason_exactly_when_no_agent_has_each_slot(preset, free):
    agents = [agent(str(number), one) for number, one in enumerate(free)]
    could = any(all(one.get(slot, 0) >= preset[slot] for slot in preset) for one in free)
    assert (no_room(preset, [place(*agents)]) is None) is could


def test_a_group_says_what_is_left_in_all_and_on_one_agent():
    found = group_room(
        place(
            agent("a", {"cpu": 3000, "mem": GIB}),
            agent("b", {"cpu": 5000, "mem": 0}),
            agent("gone", {"cpu": 8000, "mem": GIB}, status="LOST"),
        )
    )
    assert found.agents == 2
    assert found.remaining == {"cpu": "8", "mem": str(GIB)}
    assert found.largest == {"cpu": "5", "mem": str(GIB)}
    assert found.used == {"cpu": "8", "mem": str(127 * GIB)}
