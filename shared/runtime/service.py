"""What every service is made of, put together the same way.

    async def compose(runtime: ServiceRuntime) -> None:
        log = await runtime.event_log(CODEC)              # with its relay, in the background
        users = UserHandlers(log, runtime.keyring())
        runtime.commands.handle(CreateUser, users.create)
        await runtime.queries.answer(GetPersonKeys, users.keys)
        runtime.background("sweeper", sweeper.run())

    def main() -> int:
        return run_service("users", compose)

`compose` is called when Postgres and NATS are there. Then the `on_start` hooks run, in order, and
only then commands are taken. On SIGTERM or SIGINT: the `on_stop` hooks (last first), no more
requests, commands in flight finish, background tasks are cancelled, connections close. The exit
status is 0, or 1 when starting or a background task failed, so that the supervisor starts it again.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

import asyncpg
import uvloop
from nats.aio.client import Client

from shared.contracts.base import ServiceName
from shared.eventlog.codec import EventCodec
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import LogUnavailable
from shared.eventlog.pool import open_pool
from shared.kernel.cancelling import cancel
from shared.kernel.clock import Clock, SystemClock
from shared.messaging import connection
from shared.messaging.command_client import CommandClient
from shared.messaging.queries import QueryClient, QueryServer
from shared.observability.health import Health
from shared.observability.logging import configure_logging, get_logger
from shared.runtime.checks import nats_check, phase_check, postgres_check, work_check
from shared.runtime.collector import calm
from shared.runtime.http import App, HttpServer
from shared.runtime.settings import Settings, SettingsError, load
from shared.runtime.status import tell_status
from shared.runtime.tasks import Supervised, until_up
from shared.security.sealing import Keyring

if TYPE_CHECKING:
    from shared.messaging.broker import ServiceBroker
    from shared.messaging.commands import CommandServer

log = get_logger(__name__)

Hook = Callable[[], Awaitable[None]]
Compose = Callable[["ServiceRuntime"], Awaitable[None]]

NOT_UP: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
OUTAGES: Final = (LogUnavailable, *NOT_UP, asyncpg.InternalClientError)
READY_S: Final = 10
LEFTOVERS_S: Final = 3.0
EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2


class ServiceRuntime:
    """The parts of one running service; see the module's text for the order of things."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.health = Health(settings.service)
        self.http = HttpServer(settings.http_host, settings.http_port, self.health)
        self._phase = "starting"
        self._waiting: dict[str, str] = {}
        self.health.add("phase", phase_check(self._where))
        self._over = asyncio.Event()
        self._exit_status = EXIT_OK
        self._tasks = Supervised(self.fail)
        self._on_start: list[Hook] = []
        self._on_stop: list[Hook] = []
        self._pool: asyncpg.Pool | None = None
        self._nats: Client | None = None
        self._broker: ServiceBroker | None = None
        self._commands: CommandServer | None = None
        self._queries: QueryServer | None = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The connections to this service's schema."""
        if self._pool is None:
            raise RuntimeError("this service has no database: QM_DATABASE_URL is not set")
        return self._pool

    @property
    def nats(self) -> Client:
        """The connection to NATS, shared by everything in this process."""
        if self._nats is None:
            raise RuntimeError("the runtime has not started")
        return self._nats

    @property
    def commands(self) -> "CommandServer":
        """The server of this service's commands; asking for it is what starts it."""
        if self._commands is None:
            from shared.messaging.broker import make_broker  # noqa: PLC0415  # FastStream is 15 MB
            from shared.messaging.commands import QUEUE_LIMIT, CommandServer  # noqa: PLC0415

            self._broker = make_broker(self.nats, self.settings.service)
            service = cast("ServiceName", self.settings.service)
            self._commands = CommandServer(self._broker, service, **self._serving())
            load = self._commands
            self.health.add("commands", work_check("commands", lambda: load.load, QUEUE_LIMIT))
        return self._commands

    @property
    def queries(self) -> QueryServer:
        """The server of this service's queries."""
        if self._queries is None:
            self._queries = QueryServer(self.nats, self.settings.service, **self._serving())
        return self._queries

    def _serving(self) -> dict[str, Any]:
        return {"clock": self.clock, "outages": OUTAGES, "shares": not self.settings.ONE_LEADS}

    @cached_property
    def command_client(self) -> CommandClient:
        """Sends commands to other services."""
        return CommandClient(self.nats, self.settings.service, clock=self.clock)

    @cached_property
    def query_client(self) -> QueryClient:
        """Asks other services."""
        return QueryClient(self.nats, clock=self.clock)

    def keyring(self) -> Keyring:
        """Load the installation's keys; raises KeyFileError."""
        path = self.settings.master_key_file
        if path is None:
            raise SettingsError("QM_MASTER_KEY_FILE is missing")
        return Keyring.load(path)

    async def event_log(self, codec: EventCodec) -> EventLog:
        """Return this service's log; its relay runs in the background from now on."""
        # only who owns a log needs these
        from shared.eventlog.housekeeping import keep_house  # noqa: PLC0415
        from shared.eventlog.relay import Relay  # noqa: PLC0415

        event_log = EventLog(self.pool, codec, self.clock)
        relay = Relay(event_log, self.nats)
        self.health.add("relay", relay.check)
        self.background("relay", relay.run())
        self.background("housekeeping", keep_house(event_log, self.clock))
        return event_log

    def serve(self, app: App) -> None:
        """Answer HTTP with `app`, except the three pages of the runtime."""
        self.http.app = app

    def on_start(self, hook: Hook) -> None:
        """Run `hook` before commands are taken; it may wait, say to become the leader."""
        self._on_start.append(hook)

    def on_stop(self, hook: Hook) -> None:
        """Run `hook` first thing when the service stops."""
        self._on_stop.append(hook)

    def background(self, name: str, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` until the service stops; if it ends before, the process exits with 1."""
        self._tasks.start(name, work)

    def fail(self, reason: str) -> None:
        """Stop the process, with exit status 1."""
        if not self._over.is_set():
            log.critical("service_failed", reason=reason)
            self._exit_status = EXIT_FAILED
            self._over.set()

    def stop(self) -> None:
        """Stop the process cleanly, as SIGTERM does."""
        self._over.set()

    async def run(self, compose: Compose) -> int:
        """Run until a signal or a failure; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        over = asyncio.create_task(self._over.wait())
        start = asyncio.create_task(self._start(compose))
        try:
            await asyncio.wait((start, over), return_when=asyncio.FIRST_COMPLETED)
            if start.done() and not start.cancelled() and (problem := start.exception()):
                log.critical("start_failed", during=self._phase, exc_info=problem)
                self.fail(f"start failed: {problem!r}"[:200])
            await over
        finally:
            await cancel((start,), self.settings.stop_timeout_s)
            await self._shut_down()
        log.info("stopped", exit_status=self._exit_status)
        return self._exit_status

    def _where(self) -> str:
        return "; ".join((self._phase, *self._waiting.values())) if self._phase else ""

    async def _start(self, compose: Compose) -> None:
        self._phase = "opening the HTTP port"
        await self.http.start()
        self._phase = "connecting"
        async with asyncio.TaskGroup() as both:
            both.create_task(self._open_pool())
            both.create_task(self._connect())
        self._phase = "composing the service"
        await compose(self)
        for hook in self._on_start:
            self._phase = f"starting: {getattr(hook, '__qualname__', hook)}"
            await hook()
        if self._broker is not None:
            await self._broker.start()
        await self.nats.flush(READY_S)  # the server knows our subscriptions before we say ready
        self._phase = ""
        self.http.is_started = True
        self.background("status", tell_status(self.nats, self.health, self.clock))
        calm()
        log.info("ready", http_port=self.http.port)

    async def _open_pool(self) -> None:
        if not self.settings.database_url:
            return

        def tell(problem: Exception) -> None:
            self._waiting["postgres"] = f"no Postgres yet: {type(problem).__name__}"
            log.warning("waiting_for_postgres", problem=str(problem)[:200])

        self._pool = await until_up(
            lambda: open_pool(self.settings.database_url, name=self.settings.service),
            retry=NOT_UP,
            give_up_s=self.settings.start_timeout_s,
            tell=tell,
        )
        self._waiting.pop("postgres", None)
        self.health.add("postgres", postgres_check(self._pool))

    async def _connect(self) -> None:
        self._waiting["nats"] = "no NATS yet"
        self._nats = await connection.connect(
            self.settings.nats_url,
            self.settings.service,
            timeout_s=self.settings.start_timeout_s,
        )
        self._waiting.pop("nats", None)
        self.health.add("nats", nats_check(self._nats))

    async def _shut_down(self) -> None:
        self._phase = "stopping"
        bound_s = self.settings.stop_timeout_s
        steps: list[tuple[str, Callable[[], Awaitable[Any]]]] = [
            (f"hook {number}", hook) for number, hook in enumerate(reversed(self._on_stop))
        ]
        steps.append(("http", self.http.stop))
        if self._commands is not None and self._broker is not None:
            commands, broker = self._commands, self._broker
            steps += [("commands", lambda: commands.stop(bound_s)), ("broker", broker.stop)]
        if self._queries is not None:
            steps.append(("queries", self._queries.stop))
        steps.append(("background", lambda: self._tasks.stop(bound_s)))
        if self._pool is not None:
            steps.append(("postgres", self._pool.close))
        if self._nats is not None:
            client = self._nats
            steps.append(("nats", lambda: connection.close(client)))
        for name, step in steps:
            try:
                async with asyncio.timeout(bound_s + 2):
                    await step()
            except Exception:  # one part that will not stop must not keep the others from it
                log.exception("stop_failed", part=name)
                self._exit_status = EXIT_FAILED
        if self._pool is not None:
            self._pool.terminate()


def run_service(service: str, compose: Compose, settings: type[Settings] = Settings) -> int:
    """Run a service as this process; returns the exit status for `sys.exit`."""
    try:
        loaded = load(settings, service)
    except SettingsError as problem:
        sys.stderr.write(f"{service}: {problem}\n")
        return EXIT_SETTINGS
    configure_logging(service, level=loaded.log_level, style=loaded.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(loaded, compose))


async def _run(settings: Settings, compose: Compose) -> int:
    try:
        return await ServiceRuntime(settings).run(compose)
    finally:
        await cancel(asyncio.all_tasks() - {asyncio.current_task()}, LEFTOVERS_S)
