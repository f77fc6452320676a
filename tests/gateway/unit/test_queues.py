from datetime import UTC, datetime, timedelta

from services.gateway.telemetry.queues import EXACT_MAX, FURTHER_BACK, NOT_EXAMINED, Queues
from shared.contracts.base import Actor, Meta
from shared.contracts.scheduler import (
    EstimatedStart,
    PendingQueue,
    QueueChanged,
    QueueEntry,
    Reason,
    SessionCancelled,
    SessionEnqueued,
    SessionScheduled,
)
from shared.eventlog.records import Recorded
from shared.testing.clock import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHORT = Reason(code="no_room", message="cpu is short")


def recorded(event):
    return Recorded(
        position=1,
        stream="session-x",
        version=1,
        type=type(event).__name__,
        schema_version=1,
        event=event,
        meta=Meta(actor=Actor("service", "test"), correlation_id="c"),
        event_id="e",
        recorded_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def enqueue(session_id, priority=10):
    return recorded(
        SessionEnqueued(
            session_id=session_id,
            name=session_id,
            session_type="batch",
            user_id="u",
            access_key=None,
            domain="default",
            project_id="p",
            resource_group="g",
            image="i",
            architecture="a",
            command=None,
            environ=None,
            priority=priority,
            cluster_mode="single-node",
            kernels=(),
        )
    )


def told(position, *session_ids):
    entries = tuple(
        QueueEntry(session_id=session_id, position=number, reason=SHORT, retries=1)
        for number, session_id in enumerate(session_ids, start=1)
    )
    return QueueChanged(resource_group="g", position=position, entries=entries)


def test_a_start_is_told_until_it_is_past():
    queues = waiting("a")
    soon = EstimatedStart(
        low=NOW + timedelta(minutes=1),
        likely=NOW + timedelta(minutes=2),
        high=NOW + timedelta(minutes=3),
    )
    entry = QueueEntry(session_id="a", position=1, reason=SHORT, retries=1, estimated_start=soon)
    queues.tell(QueueChanged(resource_group="g", position=5, entries=(entry,)))
    start = queues.place("a").members(NOW)["estimated_start"]
    assert start == {
        "low": "2026-01-01T00:01:00Z",
        "likely": "2026-01-01T00:02:00Z",
        "high": "2026-01-01T00:03:00Z",
    }
    late = NOW + timedelta(minutes=4)
    assert queues.place("a").members(late)["estimated_start"] is None


def order(queues):
    return [(place.session_id, place.position) for place in queues.places("g")[0]]


def waiting(*session_ids):
    queues = Queues(FakeClock())
    for session_id in session_ids:
        queues.apply(enqueue(session_id))
    return queues


def test_before_the_scheduler_has_told_anything_a_session_waits_with_a_reason():
    queues = waiting("a", "b")
    assert order(queues) == [("a", 1), ("b", 2)]
    members = queues.place("b").members(NOW)
    assert members["position"] == 2
    assert members["reason"]["code"] == NOT_EXAMINED.code


def test_the_schedulers_order_wins_and_what_it_has_not_seen_comes_last():
    queues = waiting("a", "b", "c")
    queues.tell(told(5, "c", "a"))
    assert order(queues) == [("c", 1), ("a", 2), ("b", 3)]
    assert queues.place("a").members(NOW)["reason"]["code"] == "no_room"


def test_what_has_left_the_queue_is_not_shown_whatever_was_told_last():
    queues = waiting("a", "b", "c")
    queues.tell(told(5, "a", "b", "c"))
    queues.apply(recorded(SessionScheduled(session_id="a", placements=(), attempt=1)))
    queues.apply(recorded(SessionCancelled(session_id="b", reason="user-requested")))
    assert order(queues) == [("c", 1)]
    assert queues.place("a") is None


def test_an_older_pass_that_comes_late_changes_nothing():
    queues = waiting("a", "b")
    queues.tell(told(5, "b", "a"))
    queues.tell(told(4, "a", "b"))
    assert order(queues) == [("b", 1), ("a", 2)]


def test_an_answer_of_the_scheduler_counts_only_while_nothing_was_told():
    queues = waiting("a", "b")
    queues.seed("g", PendingQueue(total=2, entries=told(3, "b", "a").entries, position=3))
    assert order(queues) == [("b", 1), ("a", 2)]
    queues.tell(told(4, "a", "b"))
    queues.seed("g", PendingQueue(total=2, entries=told(9, "b", "a").entries, position=9))
    assert order(queues) == [("a", 1), ("b", 2)]


def test_what_was_not_told_because_it_is_far_back_says_so():
    queues = waiting("a", "b", "c")
    queues.tell(
        QueueChanged(
            resource_group="g", position=5, entries=told(5, "a").entries, detail={"total": 3}
        )
    )
    assert queues.place("c").members(NOW)["reason"]["code"] == FURTHER_BACK.code


def test_what_nobody_has_told_is_in_the_order_of_priority_then_of_arrival():
    queues = waiting("a", "b")
    queues.apply(enqueue("urgent", priority=50))
    assert order(queues) == [("urgent", 1), ("a", 2), ("b", 3)]


def test_a_page_of_some_has_the_positions_that_they_have_among_all():
    queues = waiting("a", "b", "c", "d", "e")
    queues.tell(told(5, "e", "b"))
    places, total = queues.places("g", 1, 2, among={"a", "b", "d", "gone"})
    assert [(place.session_id, place.position) for place in places] == [("a", 3), ("d", 5)]
    assert total == 3
    assert queues.places("g", 4, 2)[0][0].session_id == "d"


def test_who_waits_again_stands_behind_those_of_the_same_priority():
    queues = waiting("a", "b")
    queues.apply(recorded(SessionCancelled(session_id="a", reason="user-requested")))
    queues.apply(enqueue("a"))
    queues.apply(enqueue("b", priority=5))
    assert order(queues) == [("a", 1), ("b", 2)]


def test_a_long_queue_is_laid_out_now_and_then_but_nobody_is_shown_who_has_left():
    clock = FakeClock()
    queues = Queues(clock)
    for number in range(EXACT_MAX + 1):
        queues.apply(enqueue(f"s{number}"))
    clock.advance(1)
    assert queues.places("g")[1] == EXACT_MAX + 1
    queues.apply(enqueue("late"))
    queues.apply(recorded(SessionCancelled(session_id="s0", reason="user-requested")))
    assert queues.place("late").position == EXACT_MAX + 1
    assert queues.places("g")[0][-1].session_id == "late"
    assert queues.place("s0") is None
    assert "s0" not in {place.session_id for place in queues.places("g")[0]}
    clock.advance(1)
    assert [place.position for place in queues.places("g")[0]] == list(range(1, EXACT_MAX + 2))
