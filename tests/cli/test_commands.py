"""`qm` as people use it: a process of its own against a whole installation."""

import json
import signal
import stat

import pytest

from tests.cli.conftest import name

pytestmark = pytest.mark.e2e


def run(admin, *arguments, called=None, options=()):
    given = ("--name", called) if called else ()
    return admin.qm(
        "session", "run", "--cpu", "0.2", "--mem", "64m", *given, *options, "--", *arguments
    )


def test_logging_in_keeps_a_token_for_its_owner_only_and_prints_no_secret(terminal, installation):
    who = installation.credentials()
    done = terminal.qm(
        *("login", "--endpoint", installation.endpoint, "--email", who["email"]),
        "--password-stdin",
        stdin=f"{who['password']}\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    kept = json.loads(terminal.stored.read_text())
    assert stat.S_IMODE(terminal.stored.stat().st_mode) == 0o600
    assert who["password"] not in terminal.stored.read_text()
    assert kept["token"] not in done.stdout

    assert terminal.qm("user", "list").returncode == 0
    assert terminal.qm("logout").returncode == 0
    assert not terminal.stored.exists()
    terminal.environ |= {"QM_TOKEN": kept["token"], "QM_ENDPOINT": installation.endpoint}
    refused = terminal.qm("user", "list")
    assert refused.returncode == 1
    assert "log in again" in refused.stderr
    assert kept["token"] not in refused.stderr


def test_logging_in_with_the_administrator_s_file(terminal, installation):
    path = installation.data / "admin-credentials.json"
    done = terminal.qm("login", "--credentials", str(path), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["endpoint"] == installation.endpoint
    assert terminal.qm("session", "list").returncode == 0


def test_a_wrong_password_is_one_readable_line(terminal, installation):
    done = terminal.qm(
        *("login", "--endpoint", installation.endpoint, "--email", "nobody@example.org"),
        "--password-stdin",
        stdin="wrong 1!\n",
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "request" in done.stderr
    assert not terminal.stored.exists()


def test_a_session_is_followed_to_its_end_and_its_exit_code_is_ours(admin):
    done = run(admin, "sh", "-c", "echo one; echo two; exit 7", options=("--follow",))
    assert (done.returncode, done.stdout) == (7, "one\ntwo\n")
    assert run(admin, "true", options=("--wait",)).returncode == 0
    assert run(admin, "sh", "-c", "kill -9 $$", options=("--wait",)).returncode == 137


def test_what_was_run_is_listed_shown_and_its_log_read_by_name(admin):
    called = name("greet")
    ran = run(
        admin,
        "sh",
        "-c",
        "echo $GREETING",
        called=called,
        options=("--env", "GREETING=hi", "--wait"),
    )
    assert ran.returncode == 0
    listed = admin.qm("session", "list", "--all", "--name", called)
    assert called in listed.stdout
    assert "exit 0" in listed.stdout
    shown = json.loads(admin.qm("session", "show", called, "--json").stdout)
    assert shown["name"] == called
    assert shown["exit_code"] == 0
    assert admin.qm("session", "show", shown["id"]).stdout.startswith("id ")
    assert admin.qm("session", "logs", called).stdout == "hi\n"


def test_several_alike_are_submitted_at_once_and_ended_together(admin):
    called = name("many")
    made = run(admin, "sleep", "300", called=called, options=("--count", "3", "--json"))
    names = [item["name"] for item in json.loads(made.stdout)["items"]]
    assert names == [f"{called}-0", f"{called}-1", f"{called}-2"]
    assert admin.qm("session", "terminate", "--force", *names).returncode == 0
    for each in names:
        ended = json.loads(admin.qm("session", "show", each, "--json").stdout)
        assert ended["status"] in {"TERMINATING", "TERMINATED", "CANCELLED"}


def test_interrupting_a_watcher_leaves_the_session_alone(admin):
    called = name("watched")
    watcher = admin.start(
        *("session", "run", "--cpu", "0.2", "--mem", "64m", "--name", called, "--follow", "--"),
        *("sh", "-c", "echo ready; sleep 300"),
    )
    assert watcher.stdout.readline() == "ready\n"
    watcher.send_signal(signal.SIGINT)
    _, told = watcher.communicate(timeout=30)
    assert watcher.returncode == 130
    assert "goes on" in told
    assert "Traceback" not in told
    shown = json.loads(admin.qm("session", "show", called, "--json").stdout)
    assert shown["status"] == "RUNNING"
    assert admin.qm("session", "terminate", called).returncode == 0


def test_a_session_is_restarted_and_its_log_is_followed_over_the_restart(admin):
    called = name("again")
    made = run(
        admin,
        *("sh", "-c", "echo begun; sleep 300"),
        called=called,
        options=("--type", "interactive"),
    )
    assert made.returncode == 0, made.stderr
    watcher = admin.start("session", "logs", "-f", called)
    assert watcher.stdout.readline() == "begun\n"
    done = admin.qm("session", "restart", "--grace", "5", called)
    assert done.stdout == f"{called}: told to restart.\n"
    assert watcher.stdout.readline() == "begun\n"
    assert admin.qm("session", "terminate", "--force", called).returncode == 0
    assert watcher.wait(30) == 0
    shown = json.loads(admin.qm("session", "show", called, "--json").stdout)
    assert shown["attempt"] == 2
    again = admin.qm("session", "restart", shown["id"])
    assert again.returncode == 1
    assert "Only a running session can be restarted" in again.stderr


def test_a_dry_run_tells_what_would_happen_and_submits_nothing(admin):
    called = name("dry")
    done = run(admin, "true", called=called, options=("--dry-run", "--count", "2"))
    assert done.returncode == 0, done.stderr
    assert f"{called}-0" in done.stdout
    assert "of 2 would start now in default." in done.stdout
    assert "No sessions" in admin.qm("session", "list", "--all", "--name", called).stdout
    both = run(admin, "true", options=("--dry-run", "--wait"))
    assert both.returncode == 2
    assert "submits nothing" in both.stderr


def test_nothing_to_list_is_no_error(admin):
    done = admin.qm("session", "list", "--name", name("never"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "No sessions" in done.stdout
    assert json.loads(admin.qm("--json", "agent", "list", "--status", "LOST").stdout)["items"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("session", "run", "--cpu", "two", "--", "true"), "not an amount"),
        (("session", "run", "--image", "no/such:image", "--", "true"), "image"),
        (("session", "run", "--cpu", "100000", "--", "true"), "100000"),
        (("session", "show", "no-such-session"), "no session"),
        (("session", "logs", "01a208ea-0000-7000-8000-000000000000"), "no session"),
        (("session", "terminate", "no-such-session"), "no session"),
    ],
)
def test_a_refusal_is_one_line_on_standard_error(admin, arguments, said):
    done = admin.qm(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_a_user_is_created_and_the_secret_is_shown_only_when_asked(admin):
    email = f"{name('ada')}@example.org"
    given = ("user", "create", "--username", email.partition("@")[0], "--password-stdin")
    made = admin.qm(*given, "--email", email, stdin="Analytical-1843\n")
    assert made.returncode == 0, made.stderr
    assert "secret" not in made.stdout
    assert email in admin.qm("user", "list", "--email", email).stdout
    other = f"{name('grace')}@example.org"
    given = ("user", "create", "--username", other.partition("@")[0], "--password-stdin")
    shown = admin.qm(*given, "--email", other, "--show-secret", stdin="Analytical-1843\n")
    assert "secret key" in shown.stdout
    assert "Analytical" not in shown.stdout


def test_the_log_is_verified_and_the_status_tells_of_processes(admin, installation):
    data = ("--data", str(installation.data))
    verified = admin.qm("log", "verify", "--json", *data)
    assert verified.returncode == 0, verified.stderr
    found = {item["service"]: item for item in json.loads(verified.stdout)["items"]}
    assert found["scheduler"]["events"] > 0
    assert {item["chain"] for item in found.values()} == {"ok"}
    status = json.loads(admin.qm("status", "--json", *data).stdout)
    assert status["supervisor"]["processes"]["gateway"]["state"] == "running"
    assert {part["name"] for part in status["system"]["components"]} >= {"users", "scheduler"}
    assert "gateway" in admin.qm("status", *data).stdout
