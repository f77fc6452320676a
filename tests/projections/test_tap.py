"""What is committed in front reaches the background without the stream, whole and in order."""

import asyncio

import pytest

from shared.contracts.base import Actor, Meta
from shared.contracts.users import DomainCreated
from shared.eventlog.records import Recorded
from shared.kernel.clock import SystemClock
from shared.projections.tap import EVENTS_MAX, Tap
from tests.projections.conftest import DEADLINE_S, Bench
from tests.projections.journal import Journal


class Gathering(Journal):
    """Gathers for a moment."""

    linger_s = 0.02


def events(first, last):
    return [
        Recorded(
            position=number,
            stream="domain-d",
            version=number,
            type="DomainCreated",
            schema_version=1,
            event=DomainCreated(name="d"),
            meta=Meta(actor=Actor("service", "tests"), correlation_id="c"),
            event_id=str(number),
            recorded_at=SystemClock().now(),
        )
        for number in range(first, last + 1)
    ]


def positions(taken):
    return [item.position for item in taken[0]], taken[1]


def test_a_piece_without_a_gap_is_taken_from_wherever_one_stands_in_it():
    tap = Tap()
    assert not tap.covers(0)
    tap.offer(4, 4, ())
    assert not tap.covers(3)
    tap.offer(4, 6, events(5, 6))
    tap.offer(6, 9, events(7, 8))  # the ninth is of a type that nobody knows
    assert tap.covers(4)
    assert positions(tap.take(5)) == ([6, 7, 8], 9)
    assert tap.covers(9)
    assert not tap.covers(8)


def test_what_two_projections_show_is_held_once():
    tap = Tap()
    tap.offer(0, 3, events(1, 3))
    tap.offer(0, 2, events(1, 2))
    tap.offer(2, 5, events(3, 5))
    assert positions(tap.take(0)) == ([1, 2, 3, 4, 5], 5)


def test_after_a_gap_only_what_follows_it_is_held():
    tap = Tap()
    tap.offer(0, 3, events(1, 3))
    tap.offer(7, 8, events(8, 8))
    assert not tap.covers(3)
    assert positions(tap.take(7)) == ([8], 8)


def test_what_nobody_takes_is_held_within_bounds():
    tap = Tap()
    for number in range(1, EVENTS_MAX + 100):
        tap.offer(number - 1, number, events(number, number))
    assert not tap.covers(50)
    assert tap.covers(99)
    assert len(tap.take(99)[0]) == EVENTS_MAX


async def test_whoever_waits_is_woken_by_what_comes_and_by_a_gap():
    tap = Tap()
    tap.offer(0, 0, ())
    waiting = asyncio.create_task(tap.wait(0))
    await asyncio.sleep(0)
    tap.offer(0, 1, events(1, 1))
    assert await waiting
    tap.take(0)
    waiting = asyncio.create_task(tap.wait(1))
    await asyncio.sleep(0)
    tap.offer(5, 6, events(6, 6))
    assert not await waiting


@pytest.mark.parametrize("rebuilt", ["front", "back"])
async def test_every_event_arrives_once_whatever_is_rebuilt_meanwhile(bench: Bench, rebuilt):
    await bench.preset("small")
    async with bench.running(Journal("front"), Gathering("back")) as runner:
        last = 0
        for number in range(40):
            last = await bench.domains(*(f"d{number}-{part}" for part in range(1 + number % 7)))
            if number == 15:
                await runner.rebuild(rebuilt)
        for name in ("front", "back"):
            assert await runner.wait_for("users", last, DEADLINE_S, projections=(name,))
            assert await bench.rows(name=name) == list(range(1, last + 1))
            assert await bench.rows("policies", name=name) == [1]
