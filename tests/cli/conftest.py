import json
import os
import signal
import subprocess
import sys
import unittest.mock
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from deploy.embedded.ports import free_port
from services.gateway.cli.root import main
from shared.testing.installation import ROOT, Installation

PASSWORD = "Analytical-1843"
PROGRAM = [sys.executable, "-P", "-m", "services.gateway.cli"]


class Program(click.Command):
    """The whole program with its own way to end, for a runner that wants a command."""

    def __init__(self) -> None:
        super().__init__("qm")

    def main(self, *_: Any, **__: Any) -> Any:
        main()


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

    def here(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Do what `qm` does in this process: the same but for what a process costs."""
        gone = {name: None for name in os.environ if name.startswith("QM_")}
        with unittest.mock.patch.object(sys, "argv", ["qm", *arguments]):
            done = CliRunner().invoke(Program(), input=stdin, env=gone | self.environment())
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def json(self, *arguments: str, stdin: str = "") -> Any:
        """Return what `qm` prints as JSON; it must succeed."""
        done = self.qm(*arguments, "--json", stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

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


def name(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:8]}"


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error of a command that failed as it should: one line, nothing else."""
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    return done.stderr


@pytest.fixture
def terminal(tmp_path) -> Terminal:
    """A shell of somebody who has never used `qm`."""
    return Terminal(tmp_path)


@pytest.fixture
def in_process(monkeypatch) -> None:
    """Let `qm` run in the process of the test, where many commands are to be tried."""
    monkeypatch.setattr(Terminal, "qm", Terminal.here)


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


@pytest.fixture
def person(admin) -> dict[str, Any]:
    """A user that the administrator has just created, with the password `PASSWORD`."""
    username = name("ada")
    given = ("--email", f"{username}@example.org", "--password-stdin")
    made: dict[str, Any] = admin.json("user", "create", *given, stdin=f"{PASSWORD}\n")
    return made


@pytest.fixture
def own(tmp_path, installation, person) -> Terminal:
    """The shell of `person`, logged in."""
    home = tmp_path / "own"
    home.mkdir()
    made = Terminal(home)
    log_in(made, installation, person["email"], PASSWORD)
    return made


def log_in(terminal: Terminal, installation: Installation, email: str, *lines: str) -> None:
    """Log in with what is typed: the password, and a code where one is asked for."""
    done = terminal.qm(
        *("login", "--endpoint", installation.endpoint, "--email", email, "--password-stdin"),
        stdin="".join(f"{line}\n" for line in lines),
    )
    assert done.returncode == 0, done.stderr
