"""A recorded period once more, in time that is only counted: who would have started when.

The sessions of a recording come when they came, run as long as they ran, and are placed by the
placement package itself. The same recording always gives the same replay.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple, TypeAlias

from services.scheduler.domain.resource_group import Defaults, ResourceGroup
from services.scheduler.domain.scopes import Ceiling
from services.scheduler.forecast.fleet import AgentChange
from services.scheduler.forecast.recording import Job, Recording
from services.scheduler.placement.cluster import Cluster
from services.scheduler.placement.ledgers import Ledgers
from services.scheduler.placement.model import Agent, GroupOptions
from services.scheduler.placement.planner import GroupPlanner
from services.scheduler.placement.queue import share_scope
from shared.contracts.scheduler import Variation

PLACED_MAX: Final = 1_024
TOLD_EVERY: Final = 500

# at one moment: what ends or changes comes before what arrives, as in one commit
END, AGENT, GROUP, LEAVE, COME, RETRY = range(6)
_What: TypeAlias = Job | Agent | ResourceGroup | None
_Step: TypeAlias = tuple[float, int, int, _What]


class Stay(NamedTuple):
    """From when on a session waited, and when it got its place, None: not in the period."""

    ready_s: float
    started_s: float | None


class Rules(NamedTuple):
    """What holds throughout: limits by scope, the settings, how often a blocked head is tried."""

    limits: Mapping[str, Ceiling]
    defaults: Defaults = Defaults()
    retry_s: float = 1.0


def recorded(recording: Recording) -> dict[str, Stay]:
    """Return how it was."""
    length_s = recording.length_s
    stays = {}
    for job in recording.jobs:
        if job.was_ready_s < min(length_s, job.leaves_s):
            is_in_time = job.started_s is not None and job.started_s < length_s
            started_s = job.started_s if is_in_time else None
            stays[job.session.session_id] = Stay(job.was_ready_s, started_s)
    return stays


def replay(
    recording: Recording,
    agents: Sequence[AgentChange],
    rules: Rules,
    variation: Variation,
    told: Callable[[float], None] = lambda _: None,
) -> dict[str, Stay]:
    """Return how it would be; `told` hears now and then what part of the period is done.

    Of the variation what concerns agents is for the caller to have done.
    """
    return _Replay(recording, agents, rules, variation).run(told)


class _Replay:
    def __init__(
        self,
        recording: Recording,
        agents: Sequence[AgentChange],
        rules: Rules,
        variation: Variation,
    ) -> None:
        self._length_s = recording.length_s
        self._rules = rules
        self._variation = variation
        self._jobs = {job.session.session_id: job for job in recording.jobs}
        self._stays: dict[str, Stay] = {}
        self._held: dict[str, set[str]] = {}
        self._dependants: defaultdict[str, list[Job]] = defaultdict(list)
        self._steps: list[_Step] = []
        self._count = 0
        self._has_retry = False
        self._cluster = Cluster()
        self._ledgers = Ledgers()
        options = self._options(recording.groups[0][1])
        self._planner = GroupPlanner(options, self._cluster, self._ledgers)
        self._set_limits()
        for change in agents:
            self._push(change.at_s, AGENT, change.agent)
        for at_s, group in recording.groups[1:]:
            self._push(at_s, GROUP, group)
        for job in recording.jobs:
            self._expect(job)
        heapify(self._steps)

    def run(self, told: Callable[[float], None]) -> dict[str, Stay]:
        """Go through the period."""
        steps, length_s = self._steps, self._length_s
        turns = 0
        while steps and steps[0][0] < length_s:
            now_s = steps[0][0]
            while steps and steps[0][0] <= now_s:
                _, kind, _, what = heappop(steps)
                self._step(kind, what, now_s)
            self._place(now_s)
            turns += 1
            if turns % TOLD_EVERY == 0:
                told(now_s / length_s)
        return self._stays

    def _options(self, group: ResourceGroup) -> GroupOptions:
        """Return how a group places under the variation."""
        variation, options = self._variation, group.options_under(self._rules.defaults)
        if variation.scheduler is not None:
            options = options._replace(scheduler=variation.scheduler)
        if variation.retries_to_skip is not None:
            options = options._replace(retries_to_skip=variation.retries_to_skip)
        if variation.agent_selection_strategy is not None:
            options = options._replace(strategy=variation.agent_selection_strategy)
        return options

    def _set_limits(self) -> None:
        scopes = {scope for job in self._jobs.values() for scope in job.session.scopes}
        for scope in sorted(scopes & self._rules.limits.keys()):
            ceiling = self._rules.limits[scope]
            self._ledgers.set_limits(scope, ceiling.slots, ceiling.default, ceiling.max_sessions)

    def _expect(self, job: Job) -> None:
        """Plan a session's coming, or let it run that had its place before."""
        session = job.session
        if job.started_s is not None and job.started_s < 0:
            self._resume(job)
            return
        if job.after:
            self._held[session.session_id] = set(job.after)
            for other in job.after:
                self._dependants[other].append(job)
        self._push(max(job.ready_s, 0.0), COME, job)
        if job.leaves_s < self._length_s:
            self._push(job.leaves_s, LEAVE, job)

    def _resume(self, job: Job) -> None:
        session = job.session
        for place in job.places:
            slots, devices = session.shape.slots, place.devices
            self._cluster.hold(place.kernel_id, place.agent_id, slots, devices)
        scopes = (*session.scopes, share_scope(self._planner.options.name, session.user))
        bill = self._ledgers.bill(scopes, session.shape.total())
        self._ledgers.charge(session.session_id, bill)
        self._stays[session.session_id] = Stay(job.was_ready_s, job.started_s)
        if not job.is_open:
            self._push(job.ends_s, END, job)

    def _push(self, at_s: float, kind: int, what: _What) -> None:
        self._count += 1
        heappush(self._steps, (at_s, kind, self._count, what))

    def _step(self, kind: int, what: _What, now_s: float) -> None:
        planner = self._planner
        if isinstance(what, Agent):
            self._cluster.put(what)
            planner.agent_changed(self._cluster.rows[what.agent_id])
        elif isinstance(what, ResourceGroup):
            planner.configure(self._options(what))
        elif what is None:
            self._has_retry = False
            if planner.wants_retry():
                planner.due = True
        elif kind == END:
            self._end(what, now_s)
        elif kind == LEAVE:
            self._held.pop(what.session.session_id, None)  # so that nothing lets it in any more
            planner.withdraw(what.session.session_id)
        elif not self._held.get(what.session.session_id) and now_s < what.leaves_s:
            self._enter(what, what.ready_s)

    def _enter(self, job: Job, ready_s: float) -> None:
        self._stays[job.session.session_id] = Stay(ready_s, None)
        self._planner.enqueue(job.session)

    def _place(self, now_s: float) -> None:
        """Make the passes that are due, and have a blocked head tried again in a while."""
        planner = self._planner
        while planner.due and len(planner.queue):
            for placed in planner.run(PLACED_MAX).placed:
                job = self._jobs[placed.session_id]
                stay = self._stays[placed.session_id]
                self._stays[placed.session_id] = stay._replace(started_s=now_s)
                if not job.is_open:
                    self._push(now_s + job.run_s, END, job)
        if not self._has_retry and planner.wants_retry():
            self._has_retry = True
            self._push(now_s + self._rules.retry_s, RETRY, None)

    def _end(self, job: Job, now_s: float) -> None:
        planner, session = self._planner, job.session
        for kernel_id in session.kernel_ids:
            row = self._cluster.release(kernel_id)
            if row is not None:
                planner.freed(row)
        self._ledgers.refund(session.session_id)
        for dependant in self._dependants.pop(session.session_id, ()):
            waits_for = self._held.get(dependant.session.session_id)
            if waits_for is None:
                continue  # it gave up
            waits_for.discard(session.session_id)
            if not waits_for and dependant.ready_s <= now_s:
                self._enter(dependant, now_s)
