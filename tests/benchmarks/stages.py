"""The stages of a session's way within the scheduler, each by itself, in one process."""

import statistics
import time
from contextlib import contextmanager
from itertools import count

import msgspec

from services.scheduler.batch import Batch
from services.scheduler.domain import enqueue
from services.scheduler.domain.quota import KeypairLimits
from shared.contracts.base import Accepted, Actor, Meta
from shared.contracts.scheduler import EnqueueSession
from shared.eventlog.codecs import codec_for
from shared.kernel.ids import new_id
from tests.benchmarks import placement
from tests.benchmarks.growth import books_of
from tests.scheduler.unit.sessions import START

AGENTS = 10_000
SESSIONS = 200
ROUNDS = 9
META = Meta(actor=Actor(kind="user", id="u1"), correlation_id="bench")
LIMITS = KeypairLimits(name="default", max_pending_session_count=10**6)


def command(number):
    user = number * 7 % placement.USERS
    return EnqueueSession(
        name=f"job{number}",
        session_type="batch",
        user_id=f"{user}",
        access_key=f"{user}",
        domain="default",
        project_id=f"{user % placement.PROJECTS}",
        resource_group="default",
        image="local/host:latest",
        resources={"cpu": 1000 * (1 + number % 4), "mem": placement.GIB},
        command=("sh", "-c", "echo hello"),
    )


def decided(books, wanted):
    facts = enqueue.Facts(
        group=books.queues["default"].group,
        architecture="x86_64",
        user_problem=None,
        project_problem=None,
        is_name_taken=lambda name: (wanted.user_id, name) in books.names,
        impossible=lambda _: None,
        make_id=new_id,
        access_key=wanted.access_key,
        limits=LIMITS,
        pending=books.pending.of(wanted.access_key),
    )
    return enqueue.decide(wanted, facts)


class Stopwatch:
    """The processor time of every stage of one round, in microseconds a session."""

    def __init__(self) -> None:
        self.us = {}

    @contextmanager
    def stage(self, name):
        began = time.process_time()
        yield
        self.us[name] = (time.process_time() - began) / SESSIONS * 1e6


def round_of(books, numbers, codec):
    """Let sessions come and get their places, a stage after the other."""
    watch = Stopwatch()
    bodies = [msgspec.json.encode(command(next(numbers))) for _ in range(SESSIONS)]
    reader = msgspec.json.Decoder(EnqueueSession)
    batch = Batch(books, START)
    planner = books.queues["default"].planner
    with watch.stage("command read"):
        wishes = [reader.decode(body) for body in bodies]
    with watch.stage("decided: may it wait, as what"):
        decisions = [decided(books, wish) for wish in wishes]
    with watch.stage("taken into the books: queue, names, limits, times"):
        for events in decisions:
            batch._add(events, META)  # a stage that decide() and place() share
    with watch.stage("placed: who, where, charged"):
        placed = planner.run(SESSIONS).placed
    with watch.stage("place taken into the books"):
        for one in placed:
            batch._schedule(one)  # what place() does with each
    with watch.stage("two events written as JSON"):
        written = [codec.encode(event) for event in batch.events]
    with watch.stage("answer made"):
        for _ in decisions:
            msgspec.json.encode(Accepted(service="scheduler", position=1, result={"ids": ["x"]}))
    assert len(placed) == SESSIONS
    assert len(written) == 2 * SESSIONS
    return watch.us


def costs_us():
    """Return the median cost of every stage, in microseconds of the processor a session."""
    books = books_of(AGENTS)
    placement.limit(books)
    numbers, codec = count(), codec_for("scheduler")
    rounds = [round_of(books, numbers, codec) for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
