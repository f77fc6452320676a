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
