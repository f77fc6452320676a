import asyncio

from services.gateway.http.gate import Caller, Gate

REQUEST = {"type": "http.request", "body": b"", "more_body": False}


def sends(*messages):
    """A caller who sends these messages and then nothing more."""
    left = list(messages)

    async def receive():
        if left:
            return left.pop(0)
        return await asyncio.Event().wait()

    return Caller(receive)


def patient():
    return sends(REQUEST)


def gone():
    return sends(REQUEST, {"type": "http.disconnect"})


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_as_fit_enter_at_once_and_the_rest_wait_in_order():
    gate = Gate(1, 10)
    order = []

    async def visit(name):
        assert await gate.enter(patient()) == "entered"
        order.append(name)

    assert gate.try_enter()
    visits = [asyncio.create_task(visit(name)) for name in "abc"]
    await settle()
    assert (order, gate.load) == ([], (1, 3))
    for _ in range(3):
        gate.leave()
        await settle()
    await asyncio.gather(*visits)
    assert order == ["a", "b", "c"]
    gate.leave()
    assert gate.load == (0, 0)


async def test_a_full_line_turns_away_at_once():
    gate = Gate(1, 1)
    assert gate.try_enter()
    waiting = asyncio.create_task(gate.enter(patient()))
    await settle()
    assert await gate.enter(patient()) == "full"
    gate.leave()
    assert await waiting == "entered"


async def test_whoever_hangs_up_leaves_the_line_and_costs_nothing():
    gate = Gate(1, 10)
    assert gate.try_enter()
    assert await gate.enter(gone()) == "gone"
    assert gate.load == (1, 0)
    gate.leave()
    assert gate.try_enter()


async def test_waiting_has_an_end():
    gate = Gate(1, 10, wait_s=0.01)
    assert gate.try_enter()
    assert await gate.enter(patient()) == "late"
    assert gate.load == (1, 0)


async def test_a_place_given_to_somebody_who_just_left_goes_to_the_next():
    gate = Gate(1, 10)
    assert gate.try_enter()
    leaves = asyncio.Event()

    async def receive():
        await leaves.wait()
        return {"type": "http.disconnect"}

    first = asyncio.create_task(gate.enter(Caller(receive)))
    second = asyncio.create_task(gate.enter(patient()))
    await settle()
    leaves.set()
    gate.leave()
    assert await first == "gone"
    assert await second == "entered"
    assert gate.load == (1, 0)


async def test_what_was_read_while_waiting_is_not_lost():
    gate = Gate(1, 10)
    assert gate.try_enter()
    parts = [
        {"type": "http.request", "body": b"first", "more_body": True},
        {"type": "http.request", "body": b"second", "more_body": False},
    ]
    caller = sends(*parts)
    waiting = asyncio.create_task(gate.enter(caller))
    await settle()
    gate.leave()
    assert await waiting == "entered"
    assert [await caller.receive(), await caller.receive()] == parts
