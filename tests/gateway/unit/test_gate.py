import asyncio

from services.gateway.http.gate import Gate


async def forever():
    await asyncio.Event().wait()


async def hung_up():
    return {"type": "http.disconnect"}


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_as_many_as_fit_enter_at_once_and_the_rest_wait_in_order():
    gate = Gate(1, 10)
    order = []

    async def visit(name):
        assert await gate.enter(forever) == "entered"
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
    waiting = asyncio.create_task(gate.enter(forever))
    await settle()
    assert await gate.enter(forever) == "full"
    gate.leave()
    assert await waiting == "entered"


async def test_whoever_hangs_up_leaves_the_line_and_costs_nothing():
    gate = Gate(1, 10)
    assert gate.try_enter()
    assert await gate.enter(hung_up) == "gone"
    assert gate.load == (1, 0)
    gate.leave()
    assert gate.try_enter()


async def test_waiting_has_an_end():
    gate = Gate(1, 10, wait_s=0.01)
    assert gate.try_enter()
    assert await gate.enter(forever) == "late"
    assert gate.load == (1, 0)


async def test_a_place_given_to_somebody_who_just_left_goes_to_the_next():
    gate = Gate(1, 10)
    assert gate.try_enter()
    gone = asyncio.Event()

    async def hangs_up_later():
        await gone.wait()

    first = asyncio.create_task(gate.enter(hangs_up_later))
    second = asyncio.create_task(gate.enter(forever))
    await settle()
    gone.set()
    gate.leave()
    assert await first == "gone"
    assert await second == "entered"
    assert gate.load == (1, 0)
