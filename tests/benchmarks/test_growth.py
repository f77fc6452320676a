"""How the scheduler's costs grow with those who wait and with the agents."""

import json
import subprocess
import sys

import pytest

from tests.benchmarks.figures import table

# The middle of each row of sizes is the same in both: agents, pending.
BY_PENDING = [(10_000, 1_000), (10_000, 10_000), (10_000, 100_000)]
BY_AGENTS = [(100, 10_000), (1_000, 10_000), (10_000, 10_000)]
SIZES = sorted({*BY_PENDING, *BY_AGENTS})
# Ten times as much may cost this many times as much of what shall not grow: a cost in proportion
# would be a hundredfold from end to end, and a machine with other work is unsteady.
FLAT_MAX = 5.0
PAGE_BUDGET_MS = 50.0
HEAD = ("agents", "pending", "decisions/s", "page of 20, ms", "fold of one, us", "one, KiB")
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def measured(agents, pending):
    """Return the figures of one size, from a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.growth", str(agents), str(pending)]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=240)
    return json.loads(ran.stdout)


def test_what_grows_with_those_who_wait_and_with_the_agents(show):
    found = {size: measured(*size) for size in SIZES}
    rows = [HEAD]
    for agents, pending in SIZES:
        one = found[agents, pending]
        rows.append(
            (
                f"{agents:,}",
                f"{pending:,}",
                f"{one['decisions_per_s']:,.0f}",
                f"{one['page_ms']:.2f}",
                f"{one['fold_us']:.0f}",
                f"{one['kib']:.1f}",
            )
        )
    show(f"the books by size (a page: wanted < {PAGE_BUDGET_MS:g} ms)\n{table(rows)}")
    for sizes in (BY_PENDING, BY_AGENTS):
        least, most = found[sizes[0]], found[sizes[-1]]
        assert least["decisions_per_s"] <= FLAT_MAX * most["decisions_per_s"]
        assert most["fold_us"] <= FLAT_MAX * least["fold_us"]
