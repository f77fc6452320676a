"""What `qm` does before it talks to anybody."""

import subprocess
import sys

import pytest

from tests.cli.conftest import PROGRAM

HEAVY = ("httpx", "rich", "litestar", "msgspec", "asyncpg", "nats", "jinja2")


def test_help_imports_nothing_that_costs_time(terminal):
    script = (
        "import sys; sys.argv = ['qm', '--help']\n"
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
    assert "session" in done.stdout
    assert done.stderr.strip() == "[]"


def test_every_command_can_explain_itself(terminal):
    groups = {
        (): ("login", "logout", "session", "agent", "user", "status", "log"),
        ("session",): ("run", "list", "show", "logs", "terminate"),
        ("agent",): ("list",),
        ("user",): ("list", "create"),
        ("log",): ("verify",),
    }
    for group, commands in groups.items():
        listed = terminal.qm(*group, "--help").stdout
        for command in commands:
            assert command in listed
            done = terminal.qm(*group, command, "--help")
            assert (done.returncode, done.stderr) == (0, "")
            assert "Usage: qm" in done.stdout


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
    [("nonsense",), ("session", "run"), ("session", "list", "--limit", "0"), ("login", "--bad")],
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
