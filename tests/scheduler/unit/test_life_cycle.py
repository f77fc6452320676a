"""Whatever happens in whatever order: nothing runs twice, nothing is promised twice."""

from collections import Counter

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.scheduler.books import Books
from services.scheduler.domain import deadlines, resource_group, session_rules
from services.scheduler.domain.restarting import restart
from services.scheduler.placement.model import Agent
from shared.contracts.kernels import KernelReport
from shared.contracts.scheduler import (
    TERMINAL_STATUSES,
    KernelPlacement,
    KernelStarted,
    KernelTerminated,
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionRestarted,
    SessionScheduled,
    SessionTerminated,
)
from shared.kernel.rejections import Rejection
from tests.scheduler.unit.sessions import START, enqueued

LAST = (SessionCancelled, SessionFailed, SessionTerminated)
AGENTS = ("a1", "a2", "a3")
PICK = st.integers(0, 10_000)


class Cluster(RuleBasedStateMachine):
    """The books, the rules and the nodes; reports may come twice, late, or from the past."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.log = []
        self.sent = []
        self.agents = {}
        self.count = 0
        self.restarts = []

    def take(self, events):
        for event in events:
            before = self.places_of(event)
            self.books.apply(event)
            self.log.append(event)
            if isinstance(event, SessionRestarted):
                self.restarts.append((before, event, self.places_of(event)))

    def places_of(self, event):
        """Return what the kernels of the event's session hold, in order."""
        session = self.books.sessions.get(event.key())
        holdings = self.books.cluster.holdings
        kernels = session.kernels if session else ()
        return [
            msgspec.structs.astuple(holdings[one.kernel_id])
            for one in kernels
            if one.kernel_id in holdings
        ]

    def pick(self, found, number):
        found = list(found)
        return found[number % len(found)] if found else None

    @initialize()
    def begin(self):
        self.take(resource_group.seed(None))
        for agent_id in AGENTS:
            self.change(agent_id, 4, "i1", alive=True, schedulable=True)

    def change(self, agent_id, cpu, incarnation, *, alive, schedulable):
        agent = Agent(
            agent_id,
            "default",
            "x86_64",
            {"cpu": cpu * 1000},
            incarnation=incarnation,
            alive=alive,
            schedulable=schedulable,
        )
        self.agents[agent_id] = agent
        self.books.put_agent(agent)

    @rule(
        kernels=st.sampled_from([1, 1, 2, 3]),
        cpu=st.integers(1, 5),
        priority=st.sampled_from([10, 20]),
        kind=st.sampled_from(["batch", "interactive"]),
        mode=st.sampled_from(["single-node", "multi-node"]),
    )
    def enqueue(self, kernels, cpu, priority, kind, mode):
        self.count += 1
        self.take(
            [
                enqueued(
                    f"s{self.count}",
                    kernels,
                    kind,
                    requested={"cpu": cpu * 1000},
                    priority=priority,
                    cluster_mode=mode,
                )
            ]
        )

    @rule(limit=st.sampled_from([1, 100]))
    def run_a_pass(self, limit):
        planner = self.books.queues["default"].planner
        for placed in planner.run(limit).placed:
            placements = tuple(
                KernelPlacement(
                    kernel_id=kernel.kernel_id,
                    agent_id=kernel.agent_id,
                    incarnation=self.agents[kernel.agent_id].incarnation,
                    devices=kernel.devices,
                )
                for kernel in placed.kernels
            )
            self.take(session_rules.place(self.books.sessions[placed.session_id], placements))

    @rule(
        number=PICK,
        phase=st.sampled_from(["preparing", "running", "running", "terminated", "failed"]),
        exit_code=st.sampled_from([0, 1, None]),
    )
    def a_node_reports(self, number, phase, exit_code):
        found = self.pick(self.books.placed(), number)
        if found is None:
            return
        session, kernel = found
        self.sent.append(
            (
                KernelReport(
                    session_id=session.session_id,
                    kernel_id=kernel.kernel_id,
                    attempt=session.attempt,
                    sequence=len(self.sent),
                    phase=phase,
                    at=START,
                    exit_code=exit_code if phase == "terminated" else None,
                ),
                kernel.place.agent_id,
                kernel.place.incarnation,
            )
        )
        self.deliver(*self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(number=PICK)
    def an_old_report_comes_again(self, number):
        self.deliver(*self.pick(self.sent, number))

    def deliver(self, seen, agent_id, incarnation):
        session = self.books.sessions.get(seen.session_id)
        if session is not None:
            self.take(session_rules.report(session, seen, agent_id, incarnation))

    @rule(number=PICK, forced=st.booleans())
    def somebody_terminates(self, number, forced):
        session = self.pick(self.books.sessions.values(), number)
        if session is not None:
            self.take(
                session_rules.terminate(
                    session,
                    forced=forced,
                    grace_s=10,
                    at=START,
                    is_reachable=lambda agent_id: self.agents[agent_id].alive,
                )
            )

    @rule(number=PICK)
    def somebody_restarts(self, number):
        running = [one for one in self.books.sessions.values() if one.status == "RUNNING"]
        session = self.pick(running, number)
        if session is None:
            return
        found = restart(
            session,
            kernel_ids=tuple(f"{kernel.kernel_id}'" for kernel in session.kernels),
            grace_s=10,
            is_reachable=lambda agent_id: self.agents[agent_id].alive,
        )
        if not isinstance(found, Rejection):
            self.take(found)

    @rule(number=PICK)
    def a_stop_takes_too_long(self, number):
        stopping = [one for one in self.books.sessions.values() if one.is_stopping]
        session = self.pick(stopping, number)
        if session is not None:
            self.take(deadlines.overdue(session, START, lambda _: True))

    @rule(agent_id=st.sampled_from(AGENTS), alive=st.booleans(), schedulable=st.booleans())
    def an_agent_changes(self, agent_id, alive, schedulable):
        known = self.agents[agent_id]
        self.change(agent_id, 4, known.incarnation, alive=alive, schedulable=schedulable)

    @rule(agent_id=st.sampled_from(AGENTS))
    def an_agent_comes_back_without_memory(self, agent_id):
        number = int(self.agents[agent_id].incarnation[1:]) + 1
        self.change(agent_id, 4, f"i{number}", alive=True, schedulable=True)
        for booked, kernel in list(self.books.kernels_on(agent_id)):
            session = self.books.sessions.get(booked.session_id)
            if session is not None and kernel.place.incarnation != f"i{number}":
                lost = {kernel.kernel_id: "agent-lost"}
                self.take(session_rules.lose(session, lost, START))

    @rule()
    def the_scheduler_restarts(self):
        before = self.books.state()
        self.books = Books()
        for event in self.log:
            self.books.apply(event)
        for agent in self.agents.values():
            self.books.put_agent(agent)
        assert self.books.state() == before

    @invariant()
    def no_agent_is_over_committed(self):
        held = Counter()
        for holding in self.books.cluster.holdings.values():
            held[holding.agent_id] += dict(holding.slots)["cpu"]
        assert all(amount <= 4000 for amount in held.values())

    @invariant()
    def what_is_held_is_what_lives(self):
        sessions = self.books.sessions.values()
        kernels = [(session, kernel) for session in sessions for kernel in session.kernels]
        live = {kernel.kernel_id for _, kernel in kernels if kernel.is_live}
        kept = {kernel.kernel_id for session, kernel in kernels if session.restarting}
        assert set(self.books.cluster.holdings) == live | kept
        assert {kernel.kernel_id for _, kernel in self.books.placed()} == live

    @invariant()
    def who_restarts_keeps_its_place(self):
        for before, event, after in self.restarts:
            assert isinstance(event, SessionRestarted)
            assert after == before

    @invariant()
    def no_kernel_starts_or_ends_twice(self):
        for kind in (KernelStarted, KernelTerminated):
            seen = Counter(event.kernel_id for event in self.log if isinstance(event, kind))
            assert not [kernel_id for kernel_id, times in seen.items() if times > 1]
        placed = Counter(
            event.session_id for event in self.log if isinstance(event, SessionScheduled)
        )
        assert all(times == 1 for times in placed.values())

    @invariant()
    def nothing_follows_the_end(self):
        ended = set()
        for event in self.log:
            if isinstance(event, LAST):
                assert event.session_id not in ended
                ended.add(event.session_id)
            elif isinstance(event, SessionEnqueued | KernelStarted | KernelTerminated):
                assert event.session_id not in ended
        assert not ended & set(self.books.sessions)
        assert not [one for one in self.books.sessions.values() if one.status in TERMINAL_STATUSES]

    @invariant()
    def nobody_waits_without_a_reason(self):
        if "default" not in self.books.queues:
            return
        _, planner, explainer = self.books.queues["default"]
        waiting = {entry.session.session_id for entry in planner.queue}
        assert waiting == {
            one.session_id for one in self.books.sessions.values() if one.status == "PENDING"
        }
        for entry in planner.queue:
            reason = explainer.reason(entry)
            assert reason.code
            assert reason.message


TestLifeCycle = Cluster.TestCase
TestLifeCycle.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
