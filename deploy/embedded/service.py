"""A service or the node daemon as a process of this installation."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.embedded.child import Child, Output, Program
from deploy.embedded.install import ROOT
from deploy.embedded.roster import module_of

STOP_TIMEOUT_S: Final = 15.0
# Lines reach the log file as they are written; few arenas keep the memory of threads small.
_PROCESS: Final = {"PYTHONUNBUFFERED": "1", "MALLOC_ARENA_MAX": "2", "PYTHONPATH": str(ROOT)}


class ServiceProcess:
    """Runs `python -m <module of name>` with `environment` beside our own."""

    def __init__(self, name: str, environment: Mapping[str, str], output: Output) -> None:
        self._program = python_program(name, module_of(name), environment)
        self._output = output
        self.child: Child | None = None

    async def start(self) -> None:
        """Start a new process."""
        self.child = Child(self._program, self._output)
        self.child.start()

    async def stop(self) -> None:
        """Ask it to stop and give it time; nothing when it does not run."""
        if self.child is not None:
            await self.child.stop(STOP_TIMEOUT_S)


def python_program(
    name: str, module: str, environment: Mapping[str, str], *arguments: str
) -> Program:
    """Return how to run a module of ours with this interpreter."""
    return Program(
        name=name,
        argv=[sys.executable, "-P", "-m", module, *arguments],
        env={**os.environ, **_PROCESS, **environment},
        cwd=Path("/"),
    )
