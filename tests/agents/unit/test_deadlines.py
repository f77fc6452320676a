"""The queue of moments at which agents are taken to be lost."""

from hypothesis import given
from hypothesis import strategies as st

from services.agents.deadlines import Deadlines

KEYS = st.sampled_from("abcd")
MOMENTS = st.integers(0, 50).map(float)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, MOMENTS),
        st.tuples(st.just("drop"), KEYS, MOMENTS),
        st.tuples(st.just("take"), KEYS, MOMENTS),
        st.tuples(st.just("postpone"), KEYS, MOMENTS),
    ),
    max_size=300,
)


@given(STEPS)
def test_it_does_what_a_plain_table_of_moments_does(steps):
    queue = Deadlines()
    table: dict[str, float] = {}
    for what, key, moment in steps:
        if what == "set":
            queue.set(key, moment)
            table[key] = moment
        elif what == "drop":
            queue.drop(key)
            table.pop(key, None)
        elif what == "postpone":
            queue.postpone_all(moment)
            table = dict.fromkeys(table, moment)
        else:
            overdue = {name for name, due in table.items() if due < moment}
            assert set(queue.take_overdue(moment)) == overdue
            table = {name: due for name, due in table.items() if name not in overdue}
        assert queue.next_due() == (min(table.values()) if table else None)
