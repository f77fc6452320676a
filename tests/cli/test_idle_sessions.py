"""Sessions that are ended because they are idle, measured by a real node, and how that shows."""

import pytest

from shared.testing.installation import eventually
from tests.cli.conftest import name

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("in_process"),
]
POLICY = ("policy", "keypair", "update", "default")
SMALL = ("--cpu", "0.2", "--mem", "64m")


@pytest.fixture
def rules(admin):
    """Give what changes settings of idleness, for one test."""

    def change(*given):
        done = admin.qm("settings", "set", *(f"idle.{one}" for one in given))
        assert done.returncode == 0, done.stderr

    yield change
    assert admin.qm(*POLICY, "--idle-timeout", "1h").returncode == 0
    assert admin.qm("settings", "reset", "--all").returncode == 0


def test_a_session_that_does_nothing_is_ended_and_one_that_works_is_not(admin, rules):
    lazy, busy = name("lazy"), name("busy")
    # the policy goes before the window of the settings
    assert admin.qm(*POLICY, "--idle-timeout", "3s").returncode == 0
    rules("utilization_cpu=5", "utilization_grace=1")
    for called, command in ((lazy, "sleep 600"), (busy, "while :; do :; done")):
        done = admin.qm("session", "run", *SMALL, "--name", called, "--", "sh", "-c", command)
        assert done.returncode == 0, done.stderr
    rules("utilization_enabled=true")
    following = admin.start("session", "logs", "--follow", lazy)
    assert following.wait(timeout=60) == 0
    ended = admin.json("session", "show", lazy)
    assert ended["status_info"] == "idle-utilization"
    shown = admin.qm("session", "show", busy).stdout
    assert "little use" in shown
    assert "does not end as things are, cpu" in shown
    assert admin.json("session", "show", busy)["status"] == "RUNNING"
    assert admin.qm("session", "terminate", busy, "--force").returncode == 0


def test_it_shows_how_long_a_session_may_still_be_unused(admin, rules):
    called = name("shell")
    rules("network_timeout_enabled=true", "network_timeout=3600")
    given = (*SMALL, "--type", "interactive", "--name", called)
    done = admin.qm("session", "run", *given, "--", "sleep", "600")
    assert done.returncode == 0, done.stderr
    (check,) = eventually(
        "the session runs and tells what may end it",
        lambda: admin.json("session", "show", called)["idle_checks"],
    )
    assert check["check"] == "network_timeout"
    assert 3500 < check["remaining_s"] <= 3615
    assert "unused" in admin.qm("session", "show", called).stdout
    assert admin.qm("session", "terminate", called, "--force").returncode == 0
