"""A gateway with the real services behind it, each as its own process, and clients of it."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
from nats.aio.client import Client

from deploy.embedded.ports import free_port
from shared.contracts.agents import AgentProfile, Heartbeat, NodeLoad
from shared.contracts.base import Accepted, Actor, Meta
from shared.contracts.kernels import KernelPhase, KernelReport
from shared.contracts.scheduler import ReportKernels
from shared.contracts.subjects import heartbeat_subject
from shared.kernel.ids import new_id
from shared.messaging import telemetry
from shared.messaging.command_client import CommandClient
from shared.messaging.connection import connect
from shared.security.sealing import Keyring
from shared.security.signatures import RequestParts, sign
from shared.testing.servers import Databases, NatsServer, PostgresServer
from shared.testing.services import ServiceProcess

ADMIN = {
    "endpoint": "http://127.0.0.1:1",
    "email": "root@example.org",
    "password": "generated-Passw0rd",
    "access_key": "AKIAROOTROOTROOTROOT",
    "secret_key": "r" * 40,
}
PASSWORD = "abcd123!"
IMAGE = "local/host:latest"
SERVICES = ("users", "policies", "scheduler", "agents")
GIB = 2**30
PROFILE = AgentProfile(
    address="tcp://10.0.0.1:6001",
    region="lab",
    architecture="x86_64",
    version="0.1.0",
    resource_group="default",
    runtime="process",
    available_slots={"cpu": 4000, "mem": 8 * GIB},
    images=(IMAGE,),
    isolation={"cpu": "enforced"},
)
LOAD = NodeLoad(
    cpu_percent=12.5,
    mem_used_bytes=GIB,
    mem_total_bytes=8 * GIB,
    disk_used_bytes=1,
    disk_total_bytes=2,
    net_received_bytes_s=0.0,
    net_sent_bytes_s=0.0,
)


class Signature(httpx.Auth):
    """Signs requests with a keypair, as a program does."""

    requires_request_body = True

    def __init__(self, access_key: str, secret_key: str) -> None:
        self.access_key = access_key
        self.secret_key = secret_key

    def auth_flow(self, request: httpx.Request) -> Any:
        parts = RequestParts.of_url(
            request.method,
            str(request.url),
            headers=dict(request.headers),
            body=request.content,
        )
        request.headers.update(sign(parts, access_key=self.access_key, secret_key=self.secret_key))
        yield request


@dataclass
class Stack:
    """The gateway and what is behind it."""

    keyring: Keyring
    nats_server: NatsServer
    databases: Databases
    urls: dict[str, str]
    environ: dict[str, str]
    nats: Client
    services: dict[str, ServiceProcess]
    sequence: int = 0
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.services['gateway'].http_port}"

    def client(self, auth: httpx.Auth | None = None, **options: Any) -> httpx.AsyncClient:
        made = httpx.AsyncClient(base_url=self.url, auth=auth, timeout=30, **options)
        self.clients.append(made)
        return made

    def signed(
        self, access_key: str = ADMIN["access_key"], secret_key: str = ADMIN["secret_key"]
    ) -> httpx.AsyncClient:
        return self.client(Signature(access_key, secret_key))

    async def logged_in(
        self, email: str = ADMIN["email"], password: str = ADMIN["password"]
    ) -> httpx.AsyncClient:
        client = self.client()
        answer = await client.post("/v1/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return client

    async def beat(
        self,
        agent_id: str = "a1",
        *,
        group: str = "default",
        profile: AgentProfile = PROFILE,
        **changes: Any,
    ) -> None:
        """Be an agent's machine for one heartbeat."""
        self.sequence += 1
        heartbeat = Heartbeat(
            agent_id=agent_id,
            incarnation=f"{agent_id}-1",
            sequence=self.sequence,
            at=datetime.now(tz=UTC),
            profile=msgspec.structs.replace(profile, resource_group=group),
            load=LOAD,
            **{"kernels": ()} | changes,
        )
        await telemetry.publish(self.nats, heartbeat_subject(agent_id), heartbeat)
        await self.nats.flush()

    async def run(self, session: dict[str, Any]) -> None:
        """Be the node that has started every kernel of a session."""
        await self._report(session, "running", 1)

    async def end(self, session: dict[str, Any], exit_code: int = 0) -> None:
        """Be the node on which every kernel of a session has ended."""
        await self._report(session, "terminated", 2, exit_code=exit_code)

    async def _report(
        self, session: dict[str, Any], phase: KernelPhase, sequence: int, **more: Any
    ) -> None:
        agent_id = session["agents"][0]
        reports = tuple(
            KernelReport(
                session_id=session["id"],
                kernel_id=kernel["id"],
                attempt=kernel["attempt"],
                sequence=sequence,
                phase=phase,
                at=datetime.now(tz=UTC),
                **more,
            )
            for kernel in session["kernels"]
        )
        command = ReportKernels(agent_id=agent_id, incarnation=f"{agent_id}-1", reports=reports)
        meta = Meta(actor=Actor("node", agent_id), correlation_id=new_id())
        reply = await CommandClient(self.nats, "node").send(command, meta=meta, timeout_s=20)
        assert isinstance(reply, Accepted), reply

    async def restart(self, service: str) -> None:
        await self.services[service].start()

    async def stop(self) -> None:
        for client in self.clients:
            await client.aclose()
        for service in reversed(self.services.values()):
            await service.stop()
        await self.nats.close()
        await self.nats_server.remove()
        await self.databases.drop_all()


async def start_stack(postgres_server: PostgresServer, files: Path, **environ: str) -> Stack:
    """Start everything; the caller stops it."""
    keyring = Keyring.generate()
    keyring.save(files / "master.json")
    (files / "admin-credentials.json").write_text(json.dumps(ADMIN))
    databases, server = Databases(postgres_server), NatsServer()
    await server.start()
    urls = await databases.shared_by(*SERVICES, "gateway")
    common = {
        "QM_NATS_URL": server.url,
        "QM_MASTER_KEY_FILE": str(files / "master.json"),
        "QM_BOOTSTRAP_FILE": str(files / "admin-credentials.json"),
        "QM_PASSWORD_MEMORY_KIB": "64",
        "QM_PASSWORD_PASSES": "1",
        "QM_PASSWORD_LANES": "1",
        "QM_LOG_LEVEL": "info",
        "QM_AGENT_TIMEOUT_S": "600",
        "QM_VISIBLE_WITHIN_S": "20",  # a busy machine is no reason to answer 202 here
        **environ,
    }
    services = {
        name: ServiceProcess(name, {**common, "QM_DATABASE_URL": urls[name]})
        for name in (*SERVICES, "gateway")
    }
    services["gateway"].environ["QM_HTTP_PORT"] = str(free_port())  # the same after a restart
    client = await connect(server.url, "tester")
    stack = Stack(keyring, server, databases, urls, common, client, services)
    try:
        # at once, as the supervisor does: some wait for what others tell
        await asyncio.gather(*(service.start() for service in services.values()))
    except BaseException:
        await stack.stop()
        raise
    return stack


async def eventually(ask: Any, holds: Any, timeout_s: float = 60.0) -> Any:
    """Ask again and again, each time after the answer before, until it holds; return it."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = await ask()
            if holds(found):
                return found
