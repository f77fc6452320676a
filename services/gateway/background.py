"""What the gateway does besides answering: it follows telemetry and keeps its memory complete."""

import asyncio
from collections.abc import Iterable
from typing import Final

import asyncpg
from nats.aio.client import Client

from services.gateway.auth.directory import Directory
from services.gateway.auth.secrets import KeypairSecrets
from services.gateway.auth.use_sharing import Ledger
from services.gateway.follower import Follower
from services.gateway.gateway import Gateway
from services.gateway.http.idempotency import IdempotentAnswers
from services.gateway.http.outages import OUTAGES
from services.gateway.reads.models import ReadModels
from services.gateway.telemetry.queues import Queues
from shared.contracts.agents import Heartbeat
from shared.contracts.scheduler import GetPendingQueue, PendingQueue, QueueChanged
from shared.contracts.users import KeypairDeleted, KeypairIssued
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection
from shared.messaging import telemetry
from shared.messaging.queries import QueryClient
from shared.observability.logging import get_logger
from shared.projections.projection import Commit
from shared.projections.runner import ProjectionRunner
from shared.runtime.status import STATUS_SUBJECTS, ServiceStatus

log = get_logger(__name__)
HEARTBEATS: Final = "tel.agents.heartbeat.*"
QUEUES: Final = "tel.scheduler.queue.*"
RETRY_FIRST_S: Final = 0.5
RETRY_LAST_S: Final = 30.0
CLEAN_EVERY_S: Final = 3_600.0
SEED_LIMIT: Final = 500
RESYNC_TRIES: Final = 10


class Telemetry:
    """Takes in heartbeats, queues and the services' own accounts, and tells the open pages."""

    def __init__(self, gateway: Gateway) -> None:
        self._loads = gateway.loads
        self._usages = gateway.usages
        self._queues = gateway.queues
        self._system = gateway.system
        self._live = gateway.live

    async def subscribe(self, nats: Client) -> None:
        """Follow all subjects from now on."""
        await telemetry.subscribe(nats, HEARTBEATS, Heartbeat, self._heartbeat)
        await telemetry.subscribe(nats, QUEUES, QueueChanged, self._queue)
        await telemetry.subscribe(nats, STATUS_SUBJECTS, ServiceStatus, self._status)

    async def _heartbeat(self, heartbeat: Heartbeat) -> None:
        self._loads.record(heartbeat)
        self._live.publish("agents", heartbeat.agent_id)
        self._live.publish(f"agent:{heartbeat.agent_id}", heartbeat.agent_id)
        for session_id in self._usages.record(heartbeat):
            self._live.publish(f"stats:{session_id}", session_id)

    async def _queue(self, changed: QueueChanged) -> None:
        self._queues.tell(changed)
        self._live.publish(f"queue:{changed.resource_group}", mark=f"scheduler:{changed.position}")

    async def _status(self, status: ServiceStatus) -> None:
        if self._system.record(status):
            self._live.publish("system", status.service)


class Upkeep:
    """Long-running work; each method runs until it is cancelled."""

    def __init__(
        self,
        *,
        runner: ProjectionRunner,
        reads: ReadModels,
        follower: Follower,
        directory: Directory,
        secrets: KeypairSecrets,
        ledger: Ledger,
        answers: IdempotentAnswers,
        clock: Clock,
    ) -> None:
        self._runner = runner
        self._reads = reads
        self._follower = follower
        self._directory = directory
        self._secrets = secrets
        self._ledger = ledger
        self._answers = answers
        self._clock = clock
        self._flipped = asyncio.Event()
        self._issued = asyncio.Event()
        self._unfetched: set[str] = set()

    def committed(self, commit: Commit) -> None:
        """Follow a commit."""
        self._follower.committed(commit)
        for recorded in commit.events:
            if isinstance(recorded.event, KeypairIssued):
                self._fetch((recorded.event.access_key,))
            elif isinstance(recorded.event, KeypairDeleted):
                self._secrets.forget(recorded.event.access_key)
                self._ledger.deleted(recorded.event.access_key)

    def flipped(self, projection: str) -> None:
        """Note that another generation of a projection is shown."""
        log.info("read_model_changed_over", projection=projection)
        self._reads.forget()
        self._flipped.set()

    async def resync(self) -> None:
        """Read the indexes anew after a change-over, as its events were told to nobody."""
        while True:
            await self._flipped.wait()
            self._flipped.clear()
            try:
                await self._load()
            except (*OUTAGES, asyncpg.TransactionRollbackError) as problem:
                log.warning("indexes_not_read", problem=repr(problem)[:200])
                self._flipped.set()
                await asyncio.sleep(RETRY_FIRST_S)

    async def _load(self) -> None:
        for _ in range(RESYNC_TRIES):
            before = self._positions()
            await self._follower.load(self._reads.pool, self._clock.now())
            if self._positions() == before:
                break
        self._fetch(self._directory.keypairs)

    def _positions(self) -> list[int]:
        return [item.position for item in self._runner.progress()]

    def _fetch(self, access_keys: Iterable[str]) -> None:
        self._unfetched.update(access_keys)
        self._issued.set()

    async def fetch_secrets(self) -> None:
        """Fetch secrets of new keypairs, so that signatures are checked while users is away."""
        pause_s = RETRY_FIRST_S
        self._fetch(self._directory.keypairs)
        while True:
            await self._issued.wait()
            self._issued.clear()
            wanted, self._unfetched = self._unfetched, set()
            problem = await self._secrets.prefetch(wanted)
            for access_key in wanted:
                if access_key not in self._directory.keypairs:
                    self._secrets.forget(access_key)  # deleted while its secret was on the way
            if problem is None:
                pause_s = RETRY_FIRST_S
                continue
            self._fetch(wanted)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RETRY_LAST_S)

    async def clean(self) -> None:
        """Delete old first answers and drop expired tokens, now and then."""
        while True:
            self._directory.forget_expired(self._clock.now())
            try:
                count = await self._answers.forget_old()
                log.debug("answers_forgotten", count=count)
            except OUTAGES as problem:
                log.warning("answers_not_forgotten", problem=repr(problem))
            await asyncio.sleep(CLEAN_EVERY_S)


async def seed_queues(queries: QueryClient, queues: Queues) -> None:
    """Ask the scheduler for each group's order until it has been told once."""
    pause_s = RETRY_FIRST_S
    while missing := [group for group in queues.groups() if not queues.knows(group)]:
        for group in missing:
            query = GetPendingQueue(resource_group=group, limit=SEED_LIMIT)
            answer = await queries.ask(query, type=PendingQueue)
            if isinstance(answer, Rejection):
                log.info("queue_not_told_yet", group=group, code=answer.code)
            else:
                queues.seed(group, answer)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, RETRY_LAST_S)
    await asyncio.Event().wait()  # from here on the scheduler tells by itself
