"""What the supervisor knows of its processes, written where the client and tests can read it."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from deploy.embedded.terminal import complain

ProcessState = Literal["starting", "running", "restarting", "stopping", "stopped"]


@dataclass
class ProcessStatus:
    """One process: `running` once it was ready; `last_exit` says how its predecessor ended."""

    pid: int | None = None
    state: ProcessState = "starting"
    restarts: int = 0
    http_port: int | None = None
    last_exit: str | None = None


class StateFile:
    """Rewrites `state.json` whole at each change.

    `state` is `ready` exactly while every process is running, before that `starting`, later
    `degraded` while one is not, and at the end `stopping`, then `stopped`.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self._path = path
        self._about = {"pid": os.getpid(), "started_at": datetime.now(UTC).isoformat(), **about}
        self.processes: dict[str, ProcessStatus] = {}
        self._was_ready = False
        self._ending: str | None = None

    @property
    def state(self) -> str:
        """The installation's state in one word."""
        if self._ending is not None:
            return self._ending
        if self.processes and all(each.state == "running" for each in self.processes.values()):
            return "ready"
        return "degraded" if self._was_ready else "starting"

    def end(self, word: Literal["stopping", "stopped"]) -> None:
        """Say that it stops, or has."""
        self._ending = word
        self.changed()

    def started(self) -> None:
        """Say that the first start is over: what is not ready from now on is degraded."""
        self._was_ready = True
        self.changed()

    def changed(self) -> None:
        """Write what is known now."""
        processes = {name: asdict(status) for name, status in self.processes.items()}
        document = {**self._about, "state": self.state, "processes": processes}
        new = self._path.with_name(f".{self._path.name}")
        try:
            new.write_text(json.dumps(document, indent=2) + "\n")
            new.replace(self._path)
        except OSError as error:  # a full disk: what runs goes on, the next change is tried again
            complain(f"{self._path} could not be written: {error.strerror}.")


def read_state(path: Path) -> dict[str, Any]:
    """Return what the newest supervisor wrote; empty when there never was one."""
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return state
