"""A whole installation, started by `./qm up` as a stranger would, for tests and benchmarks."""

import ctypes
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from shared.kernel.ids import new_id

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0
TRY_INTERVAL_S = 0.05
PR_SET_PDEATHSIG = 1
T = TypeVar("T")


class InstallationError(AssertionError):
    """The installation did not do what it promises; the message holds its last output."""


def eventually(what: str, attempt: Callable[[], T | None], timeout_s: float = 30.0) -> T:
    """Return the first true answer of `attempt`; it is asked again until `timeout_s` is over.

    For things outside of this process that cannot tell when they have changed.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        answer = attempt()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise InstallationError(f"not within {timeout_s:g} s: {what}")
        pause.wait(TRY_INTERVAL_S)


def _end_with_the_test_run() -> None:
    """Let the kernel stop the installation when whoever tests it is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


@dataclass
class Installation:
    """One data directory and the processes that serve it."""

    data: Path
    port: int
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Return the address of the gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """Return everything that `./qm up` has printed so far."""
        path = self.data.parent / f"{self.data.name}.out"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> "Installation":
        """Start it and wait until it says that it is ready."""
        out = self.data.parent / f"{self.data.name}.out"
        with out.open("ab") as sink:
            self.process = subprocess.Popen(
                [str(ROOT / "qm"), "up", "--data", str(self.data), "--port", str(self.port)],
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environ},
                start_new_session=True,
                preexec_fn=_end_with_the_test_run,  # noqa: PLW1509  # one system call
            )
        self.wait_ready(START_TIMEOUT_S)
        return self

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the gateway answers and every component is ready."""

        def ready() -> bool:
            if self.process is not None and self.process.poll() is not None:
                raise InstallationError(f"./qm up ended early:\n{self.output[-4000:]}")
            return self.state().get("state") == "ready" and self._healthy()

        try:
            eventually("the installation is ready", ready, timeout_s)
        except InstallationError as error:
            raise InstallationError(f"{error}\n{self.state()}\n{self.output[-4000:]}") from error

    def _healthy(self) -> bool:
        try:
            answer = httpx.get(f"{self.endpoint}/readyz", timeout=5)
            return answer.status_code == 200 and answer.json()["service"] == "gateway"
        except (httpx.HTTPError, ValueError):
            return False

    def state(self) -> dict[str, Any]:
        """Return the supervisor's own account of its processes."""
        path = self.data / "run" / "state.json"
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return state

    def pid(self, name: str) -> int:
        """Return the process id of a part: a service, `node`, `nats` or `postgres`."""
        return int(self.state()["processes"][name]["pid"])

    def kill(self, name: str) -> int:
        """Kill a part with SIGKILL and return the process id that it had."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_replaced(self, name: str, old_pid: int, timeout_s: float = 60.0) -> None:
        """Wait until the supervisor runs a new process in place of a killed one."""
        eventually(
            f"{name} runs again",
            lambda: (
                (entry := self.state()["processes"][name])["pid"] not in {None, old_pid}
                and entry["state"] == "running"
            ),
            timeout_s,
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Stop it cleanly and return the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        status = self.process.wait(STOP_TIMEOUT_S)
        self.process = None
        return status

    def credentials(self) -> dict[str, str]:
        """Return the first administrator's credentials."""
        path = self.data / "admin-credentials.json"
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def client(self, timeout_s: float = 15.0) -> httpx.Client:
        """Return a client that is logged in as the first administrator."""
        who = self.credentials()

        def log_in() -> str | None:
            answer = httpx.post(
                f"{self.endpoint}/v1/auth/login",
                json={"email": who["email"], "password": who["password"]},
                timeout=timeout_s,
            )
            if answer.status_code == 503:  # a busy machine hashes slowly; we were asked to retry
                return None
            answer.raise_for_status()
            return str(answer.json()["token"])

        bearer = {"Authorization": f"Bearer {eventually('the log-in is answered', log_in, 60)}"}
        return httpx.Client(base_url=self.endpoint, timeout=timeout_s, headers=bearer)


def run_qm(*arguments: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the launcher with arguments and return what it printed and how it ended."""
    return subprocess.run(
        [str(ROOT / "qm"), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def submit(
    client: httpx.Client, body: Mapping[str, Any], timeout_s: float = 90.0
) -> dict[str, Any]:
    """Create a session as a careful client does: the same key until there is an answer."""
    key = new_id()

    def attempt() -> dict[str, Any] | None:
        try:
            answer = client.post("/v1/sessions", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return None
        if answer.status_code in {202, 429, 503}:
            return None
        if answer.status_code != 201:
            raise InstallationError(f"{answer.status_code}: {answer.text}")
        created: dict[str, Any] = answer.json()
        return created

    return eventually("the session is accepted", attempt, timeout_s)


def read(client: httpx.Client, path: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """Read a resource as a patient client does: again while the gateway is away."""

    def attempt() -> dict[str, Any] | None:
        try:
            answer = client.get(path)
        except httpx.TransportError:
            return None
        if answer.status_code == 503:
            return None
        if answer.is_error:
            raise InstallationError(f"GET {path}: {answer.status_code}: {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    return eventually(f"GET {path} is answered", attempt, timeout_s)


def wait_status(
    client: httpx.Client, session_id: str, statuses: set[str], timeout_s: float = 60.0
) -> dict[str, Any]:
    """Wait until a session has one of `statuses` and return it."""
    last: dict[str, Any] = {}

    def attempt() -> dict[str, Any] | None:
        last.update(read(client, f"/v1/sessions/{session_id}"))
        return last if last["status"] in statuses else None

    try:
        return eventually(f"session {session_id} is {sorted(statuses)}", attempt, timeout_s)
    except InstallationError as error:
        raise InstallationError(f"{error}; it is {last}") from error
