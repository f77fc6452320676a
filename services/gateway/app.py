"""Composes the gateway."""

from typing import Final

from services.gateway.actions import bulk_task, recalculation, what_if
from services.gateway.actions.bulk_task import BulkWork
from services.gateway.actions.recalculation import RecalculationWork
from services.gateway.actions.what_if import WhatIfWork
from services.gateway.application import make_edge
from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.directory import Directory
from services.gateway.auth.keypair_use import KeypairUse, follow_keypair_use
from services.gateway.auth.secrets import KeypairSecrets
from services.gateway.background import Telemetry, Upkeep, seed_queues
from services.gateway.decorations import Decorations
from services.gateway.erasures import Erasures
from services.gateway.exports.reading import Exports
from services.gateway.follower import Follower
from services.gateway.gateway import Gateway
from services.gateway.history.reading import History
from services.gateway.http.idempotency import IdempotentAnswers
from services.gateway.idle_checks import IdleChecks
from services.gateway.live import LiveHub
from services.gateway.logs import KernelLogs
from services.gateway.offloop import OffLoop
from services.gateway.pages.router import console_routes
from services.gateway.people_keys import FetchPersonKeys
from services.gateway.preferences import Preferences
from services.gateway.projections.agents import AgentsProjection
from services.gateway.projections.events import EventsProjection
from services.gateway.projections.policies import PoliciesProjection
from services.gateway.projections.sessions import SessionsProjection
from services.gateway.projections.users import UsersProjection
from services.gateway.reads.agents import AGENTS
from services.gateway.reads.models import ReadModels
from services.gateway.reads.past import Past
from services.gateway.reads.references import References
from services.gateway.reads.session_statistics import Statistics
from services.gateway.reads.sessions import SESSIONS
from services.gateway.reads.tenancy import MEMBERS
from services.gateway.reads.users import KEYPAIRS, USERS
from services.gateway.replays import Replays
from services.gateway.settings import GatewaySettings
from services.gateway.system import System
from services.gateway.task_runner import TaskRunner
from services.gateway.task_table import TaskTable
from services.gateway.tasks import Tasks
from services.gateway.telemetry.activity import SessionUse
from services.gateway.telemetry.loads import AgentLoads
from services.gateway.telemetry.queue_order import QueueOrder
from services.gateway.telemetry.queues import Queues
from services.gateway.telemetry.usages import SessionUsages
from services.gateway.writes import Writes
from shared.kernel.clock import render_time
from shared.projections.runner import ProjectionRunner
from shared.runtime.service import Hook, ServiceRuntime, run_service
from shared.runtime.status import status_of
from shared.security.persons import PersonKeys
from shared.security.sealing import Keyring

TASKS_AT_ONCE: Final = 2
RESULTS: Final = {
    bulk_task.KIND: bulk_task.result,
    recalculation.KIND: recalculation.result,
    what_if.KIND: what_if.result,
}


async def compose(runtime: ServiceRuntime) -> None:
    """Put the gateway together from its parts."""
    settings = runtime.settings
    if not isinstance(settings, GatewaySettings):
        raise TypeError("the gateway needs its own settings")
    keyring = runtime.keyring()
    keys = PersonKeys(keyring, FetchPersonKeys(runtime.query_client))
    runner = _runner(runtime, keys)
    history = History(runtime.pool, keys, runner)
    use = await follow_keypair_use(runtime)
    gateway, follower = _parts(runtime, runner, keyring, settings, history, use)
    upkeep = Upkeep(
        runner=runner,
        reads=gateway.reads,
        follower=follower,
        directory=gateway.directory,
        secrets=gateway.secrets,
        ledger=use.ledger,
        answers=gateway.answers,
        clock=runtime.clock,
    )
    await runner.prepare()
    await follower.load(runtime.pool, runtime.clock.now())
    runner.on_commit(upkeep.committed)
    runner.on_flip(upkeep.flipped)
    await Telemetry(gateway).subscribe(runtime.nats)
    runtime.background("projections", runner.run())
    runtime.background("resync", upkeep.resync())
    runtime.background("secrets", upkeep.fetch_secrets())
    runtime.background("cleaning", upkeep.clean())
    runtime.background("activity", gateway.session_use.run(runtime.nats))
    runtime.background("queues", seed_queues(runtime.query_client, gateway.queues))
    erasures = Erasures(gateway.answers, gateway.preferences)
    runner.on_commit(erasures.committed)
    runtime.background("erasures", erasures.run())
    _run_tasks(runtime, gateway)
    runtime.health.add("projections", runner.check)
    authenticator = Authenticator(gateway.directory, gateway.secrets, use.nonces, runtime.clock)
    runtime.serve(make_edge(gateway, authenticator, console_routes(gateway)))
    runtime.on_stop(_closing(gateway))


def _runner(runtime: ServiceRuntime, keys: PersonKeys) -> ProjectionRunner:
    return ProjectionRunner(
        runtime.pool,
        runtime.nats,
        [
            UsersProjection(keys),
            PoliciesProjection(),
            SessionsProjection(),
            AgentsProjection(),
            EventsProjection(),
        ],
    )


def _parts(
    runtime: ServiceRuntime,
    runner: ProjectionRunner,
    keyring: Keyring,
    settings: GatewaySettings,
    history: History,
    use: KeypairUse,
) -> tuple[Gateway, Follower]:
    clock, pool = runtime.clock, runtime.pool
    directory, queues, live = Directory(), Queues(clock), LiveHub(clock)
    loads = AgentLoads(clock)
    follower = Follower(directory, queues, live)
    reads = ReadModels(pool, runner, clock)
    _decorate(reads, Decorations(pool, queues, loads, use, clock))
    offloop = OffLoop()

    def stale() -> list[tuple[str, str]]:
        stalled = [item.source for item in runner.progress() if item.stalled]
        times = {source: follower.shown_until(source) for source in stalled}
        return [(source, render_time(at) if at else "") for source, at in times.items()]

    gateway = Gateway(
        reads=reads,
        history=history,
        writes=Writes(runtime.command_client, runner, visible_within_s=settings.visible_within_s),
        answers=IdempotentAnswers(pool, keyring, clock),
        tasks=Tasks(keyring, runner, clock, TaskTable(pool, keyring, clock), RESULTS, offloop),
        directory=directory,
        secrets=KeypairSecrets(keyring, runtime.query_client),
        limits=use.limits,
        loads=loads,
        queues=queues,
        usages=SessionUsages(clock),
        queue_order=QueueOrder(queues, runtime.query_client),
        live=live,
        logs=KernelLogs(runtime.query_client),
        replays=Replays(runtime.query_client),
        idle_checks=IdleChecks(runtime.query_client),
        session_use=SessionUse(clock),
        system=System(pool, clock, lambda: status_of(runtime.health, clock), stale),
        exports=Exports(settings.database_url, reads),
        statistics=Statistics(reads),
        preferences=Preferences(pool, clock),
        offloop=offloop,
        keyring=keyring,
        clock=clock,
        is_https=settings.public_https,
    )
    return gateway, follower


def _decorate(reads: ReadModels, decorations: Decorations) -> None:
    """Let the read models show what is not stored with their documents."""
    past = Past(reads.pool)
    reads.decorate_past(USERS, past.users)
    reads.decorate_past(KEYPAIRS, past.keypairs)
    reads.decorate(SESSIONS, decorations.sessions)
    reads.decorate(AGENTS, decorations.agents)
    reads.decorate(KEYPAIRS, decorations.keypairs)
    reads.decorate(MEMBERS, decorations.members)
    References(reads.pool).decorate(reads)


def _run_tasks(runtime: ServiceRuntime, gateway: Gateway) -> None:
    for number in range(TASKS_AT_ONCE):
        runner = TaskRunner(
            gateway.tasks.table,
            {
                bulk_task.KIND: BulkWork(gateway),
                recalculation.KIND: RecalculationWork(gateway),
                what_if.KIND: WhatIfWork(gateway),
            },
            gateway.directory,
            gateway.clock,
        )
        gateway.tasks.on_begin(runner.wake)
        runtime.background(f"tasks-{number}", runner.run())


def _closing(gateway: Gateway) -> Hook:
    async def close() -> None:
        gateway.live.close()
        gateway.offloop.close()

    return close


def main() -> int:
    """Run the service until it is told to stop; returns the exit status."""
    return run_service("gateway", compose, GatewaySettings)
