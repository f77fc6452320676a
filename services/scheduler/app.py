"""Composes the scheduler: win the leadership, fold the log, then take commands."""

from typing import Final

from services.scheduler.books import Books
from services.scheduler.folding import Folding
from services.scheduler.foreseeing import Foreseer
from services.scheduler.groups import GroupHandlers
from services.scheduler.handlers import SessionHandlers
from services.scheduler.leadership import Leadership
from services.scheduler.publisher import Publisher
from services.scheduler.queue_view import QueueTeller, page
from services.scheduler.recalculating import Recalculation
from services.scheduler.remaining import checks_of
from services.scheduler.replay_asking import ReplayDesk
from services.scheduler.replays import Replays
from services.scheduler.restarts import RestartHandler
from services.scheduler.scheduler import Scheduler
from services.scheduler.settings import SchedulerSettings
from services.scheduler.simulating import Simulator
from services.scheduler.specs import SpecMaker
from services.scheduler.writer import Writer
from shared.contracts.activity import SessionActivity
from shared.contracts.agents import Heartbeat
from shared.contracts.base import ServiceName
from shared.contracts.scheduler import (
    ChangeResourceGroup,
    CreateResourceGroup,
    DeleteResourceGroup,
    EnqueueSession,
    GetPendingQueue,
    GetSessionChecks,
    PendingQueue,
    RecalculateUsage,
    ReplayQueue,
    ReportKernels,
    RestartSession,
    SessionChecks,
    SimulateSession,
    TerminateSession,
)
from shared.contracts.subjects import all_heartbeats, session_activity_subject
from shared.eventlog.codec import EventCodec
from shared.eventlog.codecs import codec_for
from shared.eventlog.log import EventLog
from shared.kernel.rejections import Rejection
from shared.messaging import telemetry
from shared.messaging.connection import on_reconnect
from shared.messaging.desired import DesiredState
from shared.messaging.desired_writer import DesiredWriter
from shared.observability.logging import get_logger
from shared.projections.replica import Replica
from shared.runtime.collector import calm
from shared.runtime.service import ServiceRuntime, run_service

SOURCES: Final[tuple[ServiceName, ...]] = ("users", "agents", "policies")
OF_LIMITS: Final = ("users", "policies")
CATCH_UP_S: Final = 10.0
log = get_logger(__name__)


async def compose(runtime: ServiceRuntime) -> None:
    """Put the service together from its parts; the leader's part waits for the leadership."""
    settings = runtime.settings
    if not isinstance(settings, SchedulerSettings):
        raise TypeError("the scheduler needs its own settings")
    event_log = await runtime.event_log(codec_for("scheduler"))
    scheduler = Scheduler(
        event_log, runtime.clock, hang_timeout_s=settings.scheduler_hang_timeout_s
    )
    codecs: dict[str, EventCodec] = {source: codec_for(source) for source in SOURCES}
    replica = Replica(runtime.nats, SOURCES, codecs, scheduler.learn)
    runtime.background("replica", replica.run())
    runtime.commands.follow(replica)
    runtime.health.add("replica", replica.check)

    async def lead() -> None:
        await _lead(runtime, event_log, scheduler, replica, settings)

    runtime.on_start(lead)


async def _lead(
    runtime: ServiceRuntime,
    event_log: EventLog,
    scheduler: Scheduler,
    replica: Replica,
    settings: SchedulerSettings,
) -> None:
    leadership = Leadership(event_log, runtime.settings.database_url, runtime.clock)
    folding = scheduler.folding()
    async with folding.keeping_up():
        epoch = await leadership.win()
    runtime.background("leadership", leadership.keep())
    writer = Writer(
        event_log,
        await _books(scheduler, folding, replica),
        epoch=epoch,
        refold=scheduler.fold,
        committed=scheduler.committed,
        confirm=leadership.confirm,
        clock=runtime.clock,
        retry_s=settings.scheduler_retry_s,
    )
    calm()  # what was folded stays
    publisher = Publisher(
        DesiredState(runtime.nats),
        DesiredWriter(runtime.nats, epoch),
        SpecMaker(runtime.keyring(), epoch, scheduler.limits.policies, scheduler.agents),
        confirm=leadership.confirm,
        broken=scheduler.cannot_start,
        lost=scheduler.compare_all,
    )
    foreseer = Foreseer(
        writer,
        runtime.clock,
        rest_s=settings.scheduler_foresight_rest_s,
    )
    teller = QueueTeller(runtime.nats, lambda: (writer.books, writer.position), foreseer.of)
    scheduler.open(writer, publisher, teller, foreseer)
    await _serve(runtime, event_log, scheduler, writer, foreseer)
    runtime.background("writer", writer.run())
    runtime.background("publisher", publisher.run())
    runtime.health.add("desired", publisher.check)
    runtime.background("teller", teller.run())
    runtime.background("foreseer", foreseer.run(teller.changed))


async def _books(scheduler: Scheduler, folding: Folding, replica: Replica) -> Books:
    known = folding.position
    # judging with half of what is known of agents would refuse what is fine
    await replica.caught_up(CATCH_UP_S)
    # and without knowing whose limits are which, what no limit allows would start
    while not await replica.caught_up(CATCH_UP_S, OF_LIMITS):
        log.warning("limits_not_known", problem=replica.check().detail)
    books = await scheduler.fold(folding)
    log.info("folded", events=folding.position, while_standing_by=known)
    return books


async def _serve(
    runtime: ServiceRuntime,
    event_log: EventLog,
    scheduler: Scheduler,
    writer: Writer,
    foreseer: Foreseer,
) -> None:
    handlers = SessionHandlers(
        writer,
        event_log,
        scheduler.agents,
        scheduler.users,
        limits=scheduler.limits,
        keyring=runtime.keyring(),
        clock=runtime.clock,
    )
    runtime.commands.handle(EnqueueSession, handlers.enqueue)
    simulator = Simulator(writer, handlers.judging, runtime.clock)
    runtime.commands.handle(SimulateSession, simulator.handle)
    runtime.commands.handle(TerminateSession, handlers.terminate)
    restarts = RestartHandler(writer, event_log, scheduler.agents)
    runtime.commands.handle(RestartSession, restarts.handle)
    runtime.commands.handle(ReportKernels, handlers.report)
    recalculation = Recalculation(writer, event_log, scheduler.nodes, scheduler.empty)
    runtime.commands.handle(RecalculateUsage, recalculation.handle)
    groups = GroupHandlers(writer, lambda: scheduler.limits.policies.scheduler)
    runtime.commands.handle(CreateResourceGroup, groups.handle)
    runtime.commands.handle(ChangeResourceGroup, groups.handle)
    runtime.commands.handle(DeleteResourceGroup, groups.handle)

    async def pending(query: GetPendingQueue) -> PendingQueue | Rejection:
        foreseen = foreseer.of(query.resource_group)
        return await writer.read(lambda books: page(books, query, writer.position, foreseen))

    async def checks(query: GetSessionChecks) -> SessionChecks:
        now = runtime.clock.now()
        return await writer.read(lambda books: checks_of(books, query.session_id, now))

    await runtime.queries.answer(GetPendingQueue, pending)
    await _serve_replays(runtime, scheduler, writer)
    await runtime.queries.answer(GetSessionChecks, checks)
    await telemetry.subscribe(runtime.nats, all_heartbeats(), Heartbeat, scheduler.hear)
    used = session_activity_subject()
    await telemetry.subscribe(runtime.nats, used, SessionActivity, scheduler.used)

    async def reconnected() -> None:
        scheduler.compare_all()

    on_reconnect(runtime.nats, reconnected)


async def _serve_replays(runtime: ServiceRuntime, scheduler: Scheduler, writer: Writer) -> None:
    settings = runtime.settings
    if not isinstance(settings, SchedulerSettings):
        raise TypeError("the scheduler needs its own settings")
    desk = ReplayDesk(
        writer,
        scheduler.agents_past,
        scheduler.limits,
        runtime.clock,
        database_url=settings.database_url,
        retry_s=settings.scheduler_retry_s,
    )
    replays = Replays(desk.order)
    runtime.on_stop(replays.stop)
    await runtime.queries.answer(ReplayQueue, replays.answer)


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("scheduler", compose, SchedulerSettings)
