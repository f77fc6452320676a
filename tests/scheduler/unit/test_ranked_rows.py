"""Ranked rows find what a walk over all of them finds, however they are cut into blocks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.placement import rows
from services.scheduler.placement.model import Agent, Shape

CPU, MEM = 0, 1
AMOUNTS = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 25), AMOUNTS, AMOUNTS),
        st.tuples(st.just("remove"), st.integers(0, 25), AMOUNTS, AMOUNTS),
        st.tuples(st.just("find"), st.integers(0, 6), AMOUNTS, AMOUNTS),
    ),
    max_size=80,
)
SHAPE = Shape((), "img", "x86_64")


def row_of(number, free):
    row = rows.Row(Agent(f"a{number:02}", "default", "x86_64", {}))
    row.free = free
    return row


def rank(row):
    return (*row.free, row.agent.agent_id)


@settings(max_examples=300, deadline=None)
@given(STEPS, st.integers(1, 4), st.integers(1, 3))
def test_the_first_that_fits_is_the_one_a_walk_over_all_finds(steps, block_max, span):
    sizes = rows.BLOCK_MAX, rows.SPAN
    rows.BLOCK_MAX, rows.SPAN = block_max, span
    try:
        ranked, known = rows.RankedRows(rank), {}
        for kind, number, cpu, mem in steps:
            if kind == "find":
                needs = ((CPU, cpu), (MEM, mem))
                start = (min(number, cpu),)  # nothing before it can fit
                fitting = [
                    rank(row)
                    for row in known.values()
                    if row.free[CPU] >= cpu and row.free[MEM] >= mem
                ]
                found = ranked.first_fit(needs, SHAPE, 1, start)
                assert (rank(found) if found else None) == min(fitting, default=None)
                continue
            if number in known:
                ranked.remove(known.pop(number))
            if kind == "set":
                known[number] = row_of(number, (cpu, mem))
                ranked.add(known[number])
        assert bool(ranked) == bool(known)
    finally:
        rows.BLOCK_MAX, rows.SPAN = sizes
