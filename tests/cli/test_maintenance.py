"""`qm maintenance` against a whole installation."""

import pytest

from tests.cli.conftest import one_line

pytestmark = pytest.mark.e2e


@pytest.mark.usefixtures("in_process")
def test_with_nothing_wrong_recalculating_usage_finds_nothing(admin, own):
    assert admin.json("maintenance", "recalculate-usage") == {"differences": [], "corrected": 0}
    done = admin.qm("maintenance", "recalculate-usage")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing differs." in done.stderr
    assert "role does not include" in one_line(own.qm("maintenance", "recalculate-usage"))
