"""`qm session run` for sessions that wait for a time, or for others to end well."""

import json

import pytest

from tests.cli.conftest import name

pytestmark = pytest.mark.e2e
LATER = "2199-12-31T23:59:59Z"


def run(admin, called, *options):
    small = ("--cpu", "0.2", "--mem", "64m", "--name", called)
    return admin.qm("session", "run", *small, *options, "--", "true")


def shown(admin, called):
    done = admin.qm("session", "show", called, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_session_runs_after_those_that_it_depends_on(admin):
    first, second = name("first"), name("second")
    assert run(admin, first).returncode == 0
    done = run(admin, second, "--depends-on", first, "--wait")
    assert done.returncode == 0, done.stderr
    assert (
        shown(admin, first)["times"]["terminated_at"] < shown(admin, second)["times"]["started_at"]
    )


def test_what_never_started_takes_those_with_it_that_depend_on_it(admin):
    first, second = name("first"), name("second")
    assert run(admin, first, "--starts-at", LATER).returncode == 0
    assert run(admin, second, "--depends-on", first).returncode == 0
    assert shown(admin, second)["status"] == "PENDING"
    told = admin.qm("session", "show", first).stdout
    assert "starts at" in told
    queue = admin.qm("group", "queue", "default", "--limit", "500").stdout
    assert queue.index(first) < queue.index(second)
    assert "It asked not to start before 2199-12-31" in queue
    assert admin.qm("session", "terminate", first).returncode == 0
    ended = shown(admin, second)
    assert (ended["status"], ended["status_info"]) == ("CANCELLED", "dependency-failed")


def test_a_dry_run_tells_what_a_session_would_wait_for_and_submits_nothing(admin):
    first, second = name("first"), name("second")
    assert run(admin, first, "--starts-at", LATER).returncode == 0
    done = run(admin, second, "--depends-on", first, "--starts-at", LATER, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1 of its dependencies" in done.stdout
    alone = run(admin, second, "--starts-at", LATER, "--dry-run")
    assert "It asked not to start before 2199-12-31" in alone.stdout
    assert "0 of 1 would start now" in alone.stdout
    assert admin.qm("session", "show", second).returncode == 1
    assert admin.qm("session", "terminate", first).returncode == 0


def test_a_start_that_is_no_time_is_one_readable_line(admin):
    done = run(admin, name("job"), "--starts-at", "tomorrow")
    assert done.returncode == 1
    assert "starts_at is a time" in done.stderr
