"""Starts all processes of an installation in order, keeps them running, stops them in order."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterable
from typing import Final

from deploy.embedded.child import Child, ChildError, describe_exit
from deploy.embedded.credentials import ensure_credentials, show_once
from deploy.embedded.environment import agent_id_of, node_environment, service_environment
from deploy.embedded.external import VARIABLE, ExternalPostgres
from deploy.embedded.files import write_private
from deploy.embedded.guardian import READY_TIMEOUT_S, Guardian, Startable
from deploy.embedded.isolation import IsolationWatch
from deploy.embedded.layout import Layout
from deploy.embedded.logfile import LogFile
from deploy.embedded.nats import EmbeddedNats
from deploy.embedded.passwords import load_passwords
from deploy.embedded.ports import hold_ports, number_of
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.embedded.probe import until_ready
from deploy.embedded.roster import ADMINISTRATOR, GATEWAY, INNER_SERVICES, NODE, SERVICES
from deploy.embedded.service import ServiceProcess, python_program
from deploy.embedded.state import StateFile
from deploy.embedded.terminal import SetupError, Step, complain, say
from deploy.nats.permissions import nats_users

PREPARE_TIMEOUT_S: Final = 120.0


class StartError(Exception):
    """The installation cannot start; the text says why."""


class Supervisor:
    """One installation below `layout.data`, its gateway on `host`:`port`."""

    def __init__(
        self, layout: Layout, host: str, port: int, on_started: Callable[[], None] | None = None
    ) -> None:
        self._layout = layout
        self._host = host
        self._on_started = on_started
        self._passwords = load_passwords(layout)
        shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # compared only
        self.endpoint = f"http://{shown}:{port}"
        self._probe_host = shown
        self._state = StateFile(layout.state, {"endpoint": self.endpoint})
        self._held = hold_ports(len(SERVICES) + 2)
        ports = [number_of(held) for held in self._held]
        self._postgres = self._find_postgres(ports.pop())
        self._nats = EmbeddedNats(
            layout.nats,
            ports.pop(),
            users=nats_users(self._passwords.nats, agent_id_of(layout)),
            output=self._log("nats"),
        )
        self._isolation = IsolationWatch(self._log(NODE))
        self._over: asyncio.Future[None]
        self._guardians: dict[str, Guardian] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._http_ports = dict(zip((*INNER_SERVICES, NODE), ports, strict=True))
        self._http_ports[GATEWAY] = port

    def _find_postgres(self, port: int) -> EmbeddedPostgres | ExternalPostgres:
        if url := os.environ.pop(VARIABLE, None):  # the processes that we start are not told
            return ExternalPostgres(url)
        return EmbeddedPostgres(
            self._layout.postgres,
            port,
            password=self._passwords.postgres_admin,
            output=self._log("postgres"),
        )

    def _log(self, name: str) -> LogFile:
        return LogFile(self._layout.logs / f"{name}.log")

    async def run(self) -> int:
        """Start, stay until a signal asks to stop, stop; return the exit status."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            nohup = number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
            if not nohup:
                loop.add_signal_handler(number, self._asked_to_stop)
        starting = asyncio.create_task(self._start(), name="start")
        starting.add_done_callback(self._ends_with_error)
        try:
            await self._over
        except StartError as error:
            complain(str(error))
            return 1
        else:
            return 0
        finally:
            starting.cancel()
            await self._stop()
            for held in self._held:
                held.close()

    def _ends_with_error(self, task: asyncio.Task[None]) -> None:
        """Let an error of the start, or a bug in a guardian, end the run."""
        if not task.cancelled() and (error := task.exception()) and not self._over.done():
            self._over.set_exception(error)

    def _asked_to_stop(self) -> None:
        if self._over.done():  # asked twice: no more patience
            for guardian in self._guardians.values():
                guardian.kill()
        else:
            self._over.set_result(None)

    async def _start(self) -> None:
        ensure_credentials(self._layout, self.endpoint)
        servers: dict[str, Startable] = {"nats": self._nats}
        if isinstance(self._postgres, EmbeddedPostgres):
            servers["postgres"] = self._postgres
        with Step("Starting the database and the bus"):
            for name, server in servers.items():
                self._guard(Guardian(name, server, self._state))
            await self._first_ready(servers)
        self._write_connections()
        with Step("Bringing schemas and streams up to date"):
            await self._prepare()
        with Step("Starting the services") as step:
            for name in (*SERVICES, NODE):
                self._guard(self._guardian_of(name))
            await self._first_ready((*SERVICES, NODE), step)
        self._state.started()
        if self._state.state == "ready":
            say(f"\n  Quartermaster is ready: {self.endpoint}/")
        if self._isolation.shortfall:
            say(f"  Isolation: {self._isolation.shortfall}")
        show_once(self._layout)
        say("  Ctrl-C or `qm down` stops everything; sessions go on running.")
        if self._on_started is not None:
            self._on_started()

    def _guard(self, guardian: Guardian) -> None:
        self._guardians[guardian.name] = guardian
        life = asyncio.create_task(guardian.run(), name=guardian.name)
        life.add_done_callback(self._ends_with_error)
        self._lives[guardian.name] = life

    def _guardian_of(self, name: str) -> Guardian:
        port = self._http_ports[name]
        nats_url = self._nats.url(name)
        public = name == GATEWAY
        if name == NODE:
            environment = node_environment(self._layout, nats_url=nats_url, http_port=port)
        else:
            environment = service_environment(
                self._layout,
                name,
                database_url=self._postgres.role_url(f"qm_{name}", self._passwords.postgres[name]),
                nats_url=nats_url,
                host=self._host if public else "127.0.0.1",
                http_port=port,
            )
        probe_host = self._probe_host if public else "127.0.0.1"

        async def ready() -> bool:
            return await until_ready(name, port, READY_TIMEOUT_S, probe_host)

        output = self._isolation if name == NODE else self._log(name)
        part = ServiceProcess(name, environment, output)
        return Guardian(name, part, self._state, ready=ready, http_port=port)

    async def _first_ready(self, names: Iterable[str], step: Step | None = None) -> None:
        waiting = {
            asyncio.create_task(self._guardians[name].first_ready.wait(), name=name)
            for name in names
        }
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while waiting:
                    if step is not None:
                        left = sorted(task.get_name() for task in waiting)
                        step.progress(f"waiting for {', '.join(left)}")
                    _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            missing = ", ".join(sorted(task.get_name() for task in waiting))
            if step is None:
                raise StartError(f"{missing}: not ready after {READY_TIMEOUT_S:g} s.") from None
            complain(f"not ready yet: {missing}. Their logs are in {self._layout.logs}.")
        finally:
            for task in waiting:
                task.cancel()

    def _write_connections(self) -> None:
        """Tell where the running servers are; for administrative commands on this machine."""
        document = {
            "database_url": self._postgres.database_url,
            "nats_url": self._nats.url(ADMINISTRATOR),
        }
        write_private(self._layout.connections, json.dumps(document, indent=2))

    async def _prepare(self) -> None:
        agent_id = agent_id_of(self._layout)
        program = python_program(
            "prepare", "deploy.embedded.prepare", {}, str(self._layout.data), agent_id
        )
        child = Child(program, self._log("prepare"))
        child.start()
        try:
            async with asyncio.timeout(PREPARE_TIMEOUT_S):
                status = await child.wait()
        except TimeoutError:
            raise StartError(f"not done after {PREPARE_TIMEOUT_S:g} s") from None
        finally:
            await child.stop()
        if status != 0:
            lines = "\n".join(f"    {line}" for line in list(child.last_lines)[-15:])
            raise StartError(f"preparing ended with {describe_exit(status)}:\n{lines}")

    async def _stop(self) -> None:
        """Stop in the order in which nobody misses what is gone: the gateway first."""
        self._state.end("stopping")
        for life in self._lives.values():
            life.cancel()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)
        with Step("Stopping"):
            for group in ((GATEWAY,), (NODE, *INNER_SERVICES), ("nats",), ("postgres",)):
                await asyncio.gather(
                    *(self._guardians[name].stop() for name in group if name in self._guardians)
                )
        self._layout.connections.unlink(missing_ok=True)
        self._state.end("stopped")


async def supervise(
    layout: Layout, host: str, port: int, on_started: Callable[[], None] | None = None
) -> int:
    """Run an installation until it is asked to stop; return the exit status.

    `on_started` is called when the first start is over, ready or not.
    """
    try:
        return await Supervisor(layout, host, port, on_started).run()
    except (ChildError, SetupError) as error:
        complain(str(error))
        return 1
