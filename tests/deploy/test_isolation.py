"""What `./qm up` says of the node's isolation: nothing where all holds, else one line with why."""

import json

import pytest

from deploy.embedded.isolation import IsolationWatch

ALL = dict.fromkeys(("cpu", "memory", "pids", "filesystem", "user"), "enforced")


def opened(isolation, *obstacles):
    said = {"event": "node_open", "isolation": isolation, "obstacles": obstacles}
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


class Lines(list):
    write = list.append


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (opened(ALL | {"network": "not_enforced"}), ""),
        (
            opened(
                ALL | {"filesystem": "not_enforced"},
                "bubblewrap does not work here and is not used: bwrap: no user namespaces.",
            ),
            "file system not enforced (bubblewrap does not work here and is not used)",
        ),
        (
            opened(
                ALL | {"cpu": "not_enforced", "memory": "best_effort", "user": "best_effort"},
                "No control group is writable here; limits fall back to resource limits.",
                "The sandbox is switched off in this node's settings.",
            ),
            (
                "processor time not enforced, users and memory only in part"
                " (No control group is writable here;"
                " The sandbox is switched off in this node's settings)"
            ),
        ),
        (b"12:00:00 info node_open isolation=...\n", ""),
        (b'\xff not JSON "node_open"\n', ""),
    ],
)
def test_a_boundary_that_does_not_hold_is_told_with_the_reason(line, told):
    lines = Lines()
    watch = IsolationWatch(lines)
    watch.write(b"something else\n")
    watch.write(line)
    assert watch.shortfall == told
    assert lines == [b"something else\n", line]


def test_the_newest_start_of_the_node_counts():
    watch = IsolationWatch(Lines())
    watch.write(opened(ALL | {"user": "not_enforced"}, "bubblewrap is not installed; so it is."))
    assert watch.shortfall == "users not enforced (bubblewrap is not installed)"
    watch.write(opened(ALL))
    assert watch.shortfall == ""
