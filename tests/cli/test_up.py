"""What `./qm up` tells of the machine."""

import pytest

from deploy.embedded.isolation import NAMES

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_the_start_tells_exactly_which_boundaries_of_the_node_do_not_hold(admin, installation):
    (agent,) = admin.json("agent", "list")["items"]
    weak = {key for key in NAMES if agent["isolation"][key] != "enforced"}
    lines = [line for line in installation.output.splitlines() if "Isolation:" in line]
    assert len(lines) == bool(weak)
    for key, words in NAMES.items():
        assert any(words in line.partition("(")[0] for line in lines) is (key in weak)
