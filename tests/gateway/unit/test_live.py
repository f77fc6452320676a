import asyncio

from services.gateway.live import CONNECTIONS_PER_USER_MAX, IDS_MAX, LiveHub
from shared.testing.clock import FakeClock


def hub():
    return LiveHub(FakeClock())


async def written(stream):
    return (await asyncio.wait_for(anext(stream), 5)).decode()


async def test_a_change_is_told_to_those_who_follow_its_topic_only():
    live = hub()
    mine = live.subscribe("u", frozenset({"sessions"}))
    other = live.subscribe("u", frozenset({"agents"}))
    live.publish("sessions", "s1", mark="scheduler:7")
    assert [(change.topic, change.ids) for change in await mine.next(1)] == [("sessions", ("s1",))]
    assert await other.next(0.001) == []


async def test_changes_that_come_together_are_told_together_and_once():
    live = hub()
    mine = live.subscribe("u", frozenset({"sessions"}))
    for number in range(IDS_MAX * 3):
        live.publish("sessions", f"s{number % (IDS_MAX * 2)}", mark=f"scheduler:{number}")
    (change,) = await mine.next(1)
    assert len(change.ids) == IDS_MAX
    assert change.mark == f"scheduler:{IDS_MAX * 3 - 1}"


async def test_what_a_caller_may_not_see_is_not_told():
    live = hub()
    mine = live.subscribe("u", frozenset({"sessions"}), lambda _topic, owner: owner == "u")
    live.publish("sessions", "theirs", owner="v")
    live.publish("sessions", "mine", owner="u")
    (change,) = await mine.next(1)
    assert change.ids == ("mine",)


async def test_a_stream_is_made_of_events_with_a_name_data_and_a_mark():
    live = hub()
    mine = live.subscribe("u", frozenset({"queue:default"}))
    stream = live.stream(mine)
    assert (await written(stream)).startswith(":")
    live.publish("queue:default", "s1", mark="scheduler:3")
    assert await written(stream) == (
        'id: scheduler:3\nevent: queue:default\ndata: {"topic":"queue:default","ids":["s1"]}\n\n'
    )
    await stream.aclose()
    assert not live._subscriptions


async def test_streams_end_when_the_service_stops():
    live = hub()
    stream = live.stream(live.subscribe("u", frozenset({"sessions"})))
    await written(stream)
    live.close()
    assert [piece async for piece in stream] == []


async def test_one_user_cannot_take_all_streams():
    live = hub()
    for _ in range(CONNECTIONS_PER_USER_MAX):
        assert live.subscribe("u", frozenset({"sessions"})) is not None
    assert live.subscribe("u", frozenset({"sessions"})) is None
    assert live.subscribe("v", frozenset({"sessions"})) is not None


async def test_a_stream_ends_with_the_log_in_that_opened_it():
    live = hub()
    mine = live.subscribe("u", frozenset({"sessions"}), credential="l1")
    other = live.subscribe("u", frozenset({"sessions"}), credential="l2")
    live.end_credential("l1")
    assert (mine.is_closed, other.is_closed) == (True, False)
