"""`qm what-if`: a recorded period beside what would have been."""

import json

import pytest

from tests.cli.conftest import name

pytestmark = pytest.mark.e2e


def test_a_period_is_printed_side_by_side_with_what_would_have_been(admin):
    small = ("--cpu", "0.1", "--mem", "64m", "--name", name("past"))
    done = admin.here("session", "run", *small, "--wait", "--", "true")
    assert done.returncode == 0, (done.stdout, done.stderr)
    asked = ("what-if", "default", "--from", "1h", "--agents", "+1", "--scheduler", "drf")
    done = admin.here(*asked)
    assert done.returncode == 0, (done.stdout, done.stderr)
    rows = {line[:18].strip(): line[18:].split() for line in done.stdout.splitlines()}
    assert rows["agents"][0] == rows["agents"][1]
    assert int(rows["agents"][2]) == int(rows["agents"][0]) + 1
    assert int(rows["started"][0]) >= 1
    assert {"mean wait", "95 % wait at most", "fairness (Jain)", "cpu in use"} <= rows.keys()
    # whoever ran it is told by name
    assert any(row.startswith("admin") for row in done.stdout.splitlines()), done.stdout
    assert "note: Limits" in done.stderr
    found = json.loads(admin.here("--json", *asked).stdout)
    assert (found["changes"]["scheduler"], found["what_if"]["started"]) == (
        "drf",
        found["recorded"]["started"],
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--agents", "many"), "none of +2 (more), -1 (fewer) and x1.5 (times)"),
        (("--from", "yesterday"), "no time such as"),
        (("--from", "90d"), "at most 31 days"),
        (("--scheduler", "drf", "--retries-to-skip", "2"), "for FIFO only"),
        (("--agents", "x0"), "scale must be above 0"),
    ],
)
def test_what_cannot_be_replayed_is_one_readable_line(admin, wrong, said):
    done = admin.here("what-if", "default", *wrong)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
