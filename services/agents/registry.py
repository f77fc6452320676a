"""Knows every agent: turns heartbeats, and their absence, into events where something changes."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from typing import Final

import msgspec

from services.agents.deadlines import Deadlines
from services.agents.domain import agent, image, resource_group
from services.agents.domain.agent import Agent, AgentCommand, Beat, FallSilent
from services.agents.domain.image import Discover, Image
from shared.contracts.agents import AgentProfile, AgentsEvent, Heartbeat, SetAgentSchedulable
from shared.contracts.base import Accepted, Actor, Meta
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable, StreamConflict
from shared.eventlog.records import CommandKey, Recorded, Write
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.logging import get_logger

SERVICE: Final = "agents"
TRIES: Final = 3
REFUSED_KEPT: Final = 10_000
UNCHANGED: Final = -1
logger = get_logger(__name__)


class Known(msgspec.Struct):
    """An agent's state, the version it was folded to, and its last beat's number."""

    state: Agent = agent.INITIAL
    version: int = 0
    sequence: int = -1
    last_seen_at: datetime | None = None


class Registry:
    """Holds all agents in memory, folded from the log; several replicas may run side by side."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        *,
        timeout_s: float,
        hears: Callable[[], bool] = lambda: True,
    ) -> None:
        """Take an agent to be lost when it has been silent for more than `timeout_s`.

        `hears` tells whether heartbeats can arrive at all; while they cannot, nobody is lost.
        """
        self._log = log
        self._clock = clock
        self._timeout_s = timeout_s
        self._agents: dict[str, Known] = {}
        self._images: dict[str, Image] = {}
        self._image_versions: dict[str, int] = {}
        self._groups = resource_group.INITIAL
        # The last beat of each agent whose resource group is not known (yet).
        self._refused: dict[str, Heartbeat] = {}
        self._deadlines = Deadlines()
        self._hears = hears
        self._moved = asyncio.Event()
        self._new_groups = asyncio.Event()
        # One decision at a time, so that a state and its version always belong together.
        self._deciding = asyncio.Lock()

    async def load(self) -> None:
        """Fold the log. Every agent that was alive gets a whole timeout to be heard again."""
        async for recorded in self._log.fold_all():
            self._fold(recorded)
        now = self._clock.monotonic()
        for agent_id, known in self._agents.items():
            if known.state.status == "ALIVE":
                self._deadlines.set(agent_id, now + self._timeout_s)

    def _fold(self, recorded: Recorded) -> None:
        aggregate, key = type(recorded.event).AGGREGATE, recorded.event.key()
        if aggregate == "agent":
            known = self._agents.setdefault(key, Known())
            known.state = agent.evolve(known.state, recorded.event)
            known.version = recorded.version
        elif aggregate == "image":
            found = self._images.get(key, image.INITIAL)
            self._images[key] = image.evolve(found, recorded.event)
            self._image_versions[key] = recorded.version

    def learn(self, _service: str, recorded: Recorded) -> None:
        """Take note of what the scheduler's log says about resource groups."""
        groups = resource_group.evolve(self._groups, recorded.event)
        if groups != self._groups:
            self._groups = groups
            self._new_groups.set()

    async def welcome(self) -> None:
        """Let refused agents in when a new group takes them, until cancelled."""
        while True:
            await self._new_groups.wait()
            self._new_groups.clear()
            for beat in list(self._refused.values()):
                await self.hear(beat)

    async def hear(self, beat: Heartbeat) -> None:
        """Take a heartbeat. While Postgres is away it only counts as a sign of life."""
        known = self._agents.get(beat.agent_id, Known())
        if beat.incarnation == known.state.incarnation and beat.sequence <= known.sequence:
            return
        profile = self._place(beat)
        if profile is None:
            return
        command = Beat(
            agent_id=beat.agent_id,
            incarnation=beat.incarnation,
            profile=profile,
            goodbye=beat.goodbye,
        )
        try:
            # what was said before this process began counts as unheard: it may not be recorded
            heard = known.state.profile if known.sequence >= 0 else None
            former = {} if heard is None else heard.image_labels
            outcome = await self._execute(beat.agent_id, command, _own_meta())
            await self._discover(profile, former)
        except LogUnavailable as problem:
            logger.warning("heartbeat_not_recorded", agent=beat.agent_id, problem=str(problem))
            outcome = None
        if isinstance(outcome, Rejection):
            logger.warning("heartbeat_refused", agent=beat.agent_id, reason=outcome.message)
            return
        known = self._agents.get(beat.agent_id, known)
        known.sequence = beat.sequence
        known.last_seen_at = self._clock.now()
        self._expect(beat.agent_id, known)

    def _place(self, beat: Heartbeat) -> AgentProfile | None:
        group = resource_group.resolve(self._groups, beat.profile.resource_group)
        if group is not None:
            self._refused.pop(beat.agent_id, None)
            return msgspec.structs.replace(beat.profile, resource_group=group)
        if beat.agent_id not in self._refused:
            logger.warning(
                "agent_without_group", agent=beat.agent_id, wanted=beat.profile.resource_group
            )
        if beat.agent_id in self._refused or len(self._refused) < REFUSED_KEPT:
            self._refused[beat.agent_id] = beat
        return None

    def _expect(self, agent_id: str, known: Known) -> None:
        if known.state.status == "ALIVE":
            self._deadlines.set(agent_id, self._clock.monotonic() + self._timeout_s)
            self._moved.set()
        else:
            self._deadlines.drop(agent_id)

    async def _discover(
        self, profile: AgentProfile, former: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Record images that nobody has offered before, and what this agent newly says of them."""
        for canonical in profile.images:
            labels = profile.image_labels.get(canonical, {})
            command = Discover(
                canonical=canonical,
                architecture=profile.architecture,
                labels=None if labels == former.get(canonical, {}) else labels,
            )
            key = f"{canonical}/{profile.architecture}"
            known = self._images.get(key, image.INITIAL)
            events = image.decide(known, command)
            if not events:
                continue
            version = self._image_versions.get(key, 0)
            try:
                write = Write(stream_name("image", key), version, events)
                await self._log.append([write], _own_meta())
                version += len(events)
            except StreamConflict:
                logger.info("image_known_elsewhere", image=key)
                stream = await self._log.load(stream_name("image", key))
                version = stream.version
                self._images[key] = reduce(image.evolve, stream.events, image.INITIAL)
            else:
                self._images[key] = reduce(image.evolve, events, known)
            self._image_versions[key] = version

    async def set_schedulable(
        self, command: SetAgentSchedulable, meta: Meta, key: CommandKey | None
    ) -> Accepted | Rejection:
        """Let an agent take new sessions, or not."""
        outcome = await self._execute(command.agent_id, command, meta, key)
        if isinstance(outcome, Accepted) and outcome.position == UNCHANGED:
            return Accepted(service=SERVICE, position=await self._log.head())
        return outcome

    async def _execute(
        self, agent_id: str, command: AgentCommand, meta: Meta, key: CommandKey | None = None
    ) -> Accepted | Rejection:
        async with self._deciding:
            for _ in range(TRIES):
                known = self._agents.get(agent_id) or Known()
                decided = agent.decide(known.state, command)
                if isinstance(decided, Rejection):
                    return decided
                if not decided and key is None:
                    return Accepted(service=SERVICE, position=UNCHANGED)
                try:
                    return await self._append(agent_id, known, decided, meta, key)
                except StreamConflict:
                    await self._reload(agent_id)
        return unavailable("busy", f"Agent '{agent_id}' is being changed too often; try again.")

    async def _append(
        self,
        agent_id: str,
        known: Known,
        decided: tuple[AgentsEvent, ...],
        meta: Meta,
        key: CommandKey | None,
    ) -> Accepted:
        write = Write(stream_name("agent", agent_id), known.version, decided)
        appended = await self._log.append([write] if decided else [], meta, command=key)
        known.state = reduce(agent.evolve, decided, known.state)
        known.version += len(decided)
        self._agents[agent_id] = known
        for event in decided:
            logger.info("agent_event", type=type(event).__name__, agent=agent_id)
        return Accepted(service=SERVICE, position=appended.last)

    async def _reload(self, agent_id: str) -> None:
        stream = await self._log.load(stream_name("agent", agent_id))
        known = self._agents.setdefault(agent_id, Known())
        known.state = agent.INITIAL
        for event in stream.events:
            known.state = agent.evolve(known.state, event)
        known.version = stream.version

    async def watch(self) -> None:
        """Declare silent agents lost, until cancelled."""
        while True:
            self._moved.clear()
            await self.declare_lost()
            due = self._deadlines.next_due()
            asked_at = self._clock.monotonic()
            left_s = None if due is None else max(0.01, due - asked_at)
            try:
                async with asyncio.timeout(left_s):
                    await self._moved.wait()
            except TimeoutError:
                logger.debug("agent_overdue")
            overslept_s = self._clock.monotonic() - asked_at - (left_s or 0.0)
            if left_s is not None and overslept_s > self._timeout_s / 4:
                # This process did not run, so it could not hear anybody either.
                logger.warning("registry_overslept", seconds=round(overslept_s, 1))
                self.forgive()

    def forgive(self) -> None:
        """Give every agent a whole timeout again: they could not be heard."""
        self._deadlines.postpone_all(self._clock.monotonic() + self._timeout_s)
        self._moved.set()

    async def declare_lost(self) -> None:
        """Record the loss of every agent whose time is over."""
        if not self._hears():
            self.forgive()
            return
        for agent_id in self._deadlines.take_overdue(self._clock.monotonic()):
            since = self._agents[agent_id].last_seen_at or self._clock.now()
            try:
                await self._execute(
                    agent_id, FallSilent(agent_id=agent_id, last_seen_at=since), _own_meta()
                )
            except LogUnavailable as problem:
                logger.warning("loss_not_recorded", agent=agent_id, problem=str(problem))
                self._deadlines.set(agent_id, self._clock.monotonic() + 1.0)


def _own_meta() -> Meta:
    return Meta(actor=Actor(kind="service", id=SERVICE), correlation_id=new_id())
