import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.embedded.ports import free_port
from shared.testing.installation import ROOT, Installation

PROGRAM = [sys.executable, "-P", "-m", "services.gateway.cli"]


@dataclass
class Terminal:
    """A person's shell: their home, their environment, and `qm` as a process of its own."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    def qm(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.home,
            env=self.environment(),
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it as from a terminal, where Ctrl-C works; a shell's background job ignores it."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=self.environment(),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # as said
        )

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QM_")}
        return (
            kept
            | {"HOME": str(self.home), "XDG_CONFIG_HOME": "", "PYTHONPATH": str(ROOT)}
            | (self.environ)
        )

    @property
    def stored(self) -> Path:
        return self.home / ".config" / "quartermaster" / "credentials.json"


@pytest.fixture
def terminal(tmp_path) -> Terminal:
    """A shell of somebody who has never used `qm`."""
    return Terminal(tmp_path)


@pytest.fixture(scope="package")
def installation(tmp_path_factory) -> Iterator[Installation]:
    """One whole installation for all tests of this package."""
    made = Installation(tmp_path_factory.mktemp("cli") / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def admin(terminal, installation) -> Terminal:
    """The shell of the first administrator, whose keypair signs every request."""
    terminal.environ["QM_CREDENTIALS"] = str(installation.data / "admin-credentials.json")
    return terminal
