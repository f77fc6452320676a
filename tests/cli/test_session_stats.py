"""`qm session stats`: what a session uses, from its real processes to the terminal."""

import pytest

from tests.cli.conftest import name

pytestmark = pytest.mark.e2e
BUSY = ("sh", "-c", "while :; do :; done")


def test_what_a_session_uses_is_told_while_it_runs_and_after_that_why_not(admin):
    called = name("busy")
    small = ("--cpu", "0.2", "--mem", "64m", "--name", called)
    assert admin.qm("session", "run", *small, "--", *BUSY).returncode == 0
    following = admin.start("session", "stats", "--follow", called)
    # how busy it is shows between two measurements
    lines = [following.stdout.readline() for _ in range(2)]
    assert "of 64 MiB" in lines[0]
    assert "of 0.2" in lines[1]
    told = admin.qm("session", "stats", called).stdout
    assert "processes" in told
    found = admin.json("session", "stats", called)
    assert found["mem"]["allotted"] == 64 * 2**20
    assert found["kernels"][0]["pids"] >= 1
    assert admin.qm("session", "terminate", called, "--force").returncode == 0
    assert following.wait(timeout=60) == 0
    assert "is over" in following.stderr.read()
    assert "it ran" in admin.qm("session", "stats", called).stdout


def test_sessions_are_narrowed_counted_and_told_of(admin):
    called = name("counted")
    small = ("--cpu", "0.2", "--mem", "64m", "--name", called)
    assert admin.qm("session", "run", *small, "--wait", "--", "sh", "-c", "exit 3").returncode == 3
    (one,) = admin.json("session", "list", "--all", "--name", called)["items"]
    same = ("--user", "me", "--domain", one["domain"], "--project", one["project"])
    agent = ("--agent", one["agents"][0], "--why", "task-failed", "--result", "failure")
    since = ("--created-from", one["created_at"], "--sort", "name")
    found = admin.json("session", "list", "--all", "--name", called, *same, *agent, *since)
    assert [item["id"] for item in found["items"]] == [one["id"]]
    before = ("--terminated-to", one["created_at"])
    assert admin.json("session", "list", "--all", "--name", called, *before)["items"] == []
    numbers = admin.json("session", "statistics", "--name", called, "--status", "terminated")
    assert numbers["by_result"] == {"failure": 1}
    assert numbers["waiting"]["count"] == 1
    told = admin.qm("session", "statistics", "--name", called).stdout
    assert "1 submitted" in told
    assert "default" in told
    refused = admin.qm("session", "statistics", "--from", "yesterday")
    assert refused.returncode == 1
    assert "from is one time" in refused.stderr
    assert "SessionTerminated" in admin.qm("session", "timeline", called).stdout
