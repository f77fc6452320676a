"""What `qm` does before it talks to anybody."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from services.gateway.cli.root import root
from tests.cli.conftest import PROGRAM

HEAVY = ("httpx", "rich", "litestar", "msgspec", "asyncpg", "nats", "jinja2", "segno")


@pytest.mark.parametrize("group", [(), ("session",), ("user",), ("keypair",), ("project",)])
def test_help_imports_nothing_that_costs_time(terminal, group):
    script = (
        f"import sys; sys.argv = ['qm', *{group}, '--help']\n"
        "from services.gateway.cli.root import main\n"
        "try: main()\n"
        f"finally: print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=terminal.environment(),
    )
    assert "Commands:" in done.stdout
    assert done.stderr.strip() == "[]"


def test_every_command_can_explain_itself():
    waiting = [((), root)]
    while waiting:
        path, command = waiting.pop()
        done = CliRunner().invoke(root, [*path, "--help"], prog_name="qm")
        assert done.exit_code == 0, path
        assert done.output.startswith(" ".join(("Usage: qm", *path)))
        assert command.help, path
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                assert f"  {name} " in done.output
                waiting.append(((*path, name), command.get_command(context, name)))


def test_who_is_not_logged_in_is_told_so_in_one_line(terminal):
    done = terminal.qm("session", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "qm: you are not logged in; run 'qm login' first\n"


def test_a_gateway_that_is_not_there_is_told_in_one_line(terminal):
    terminal.environ |= {"QM_TOKEN": "x" * 40, "QM_ENDPOINT": "http://127.0.0.1:9"}
    done = terminal.qm("agent", "list")
    assert done.returncode == 1
    assert "nothing answers" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [("not json", "can't be read"), ("[]", "holds no credentials"), ("{}", "no credentials")],
)
def test_odd_credentials_are_told_in_one_line(terminal, content, said):
    path = terminal.home / "odd.json"
    path.write_text(content)
    done = terminal.qm("--credentials", str(path), "session", "list")
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("session", "run"),
        ("session", "list", "--limit", "0"),
        ("login", "--bad"),
        ("user", "list", "--at", "yesterday"),
        ("user", "update", "me"),
        ("user", "revoke", "me"),
        ("user", "bulk"),
        ("keypair", "update", "AKIA", "--rate-limit", "many"),
        ("domain", "update", "default", "--slot", "mem"),
        ("project", "update", "default", "--host", "local"),
    ],
)
def test_wrong_usage_is_2(terminal, arguments):
    done = terminal.qm(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error_of_ours(terminal):
    command = f"{' '.join(PROGRAM)} --help | head -1"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env=terminal.environment(),
    )
    assert "Traceback" not in done.stderr
