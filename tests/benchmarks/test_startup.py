"""How long an installed `./qm up` takes to a log-in page, and what everything needs at rest."""

import statistics
import subprocess
import sys
import time

import httpx
import psutil
import pytest

from deploy.embedded.ports import free_port
from shared.testing.installation import ROOT, Installation
from tests.benchmarks.figures import beside, median_ratio

START_BUDGET_S = 8.0
TIMES_BARE_MAX = 3.0  # Postgres, NATS, their set-up and all services one after another
SERVICES = ("users", "policies", "scheduler", "agents", "storage", "modelstore", "gateway")
MEMORY_LIMIT_BYTES = 900 * 2**20
STARTS = 3
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def start_s(installation):
    begun = time.perf_counter()
    installation.start()
    assert httpx.get(f"{installation.endpoint}/console/login", timeout=10).status_code == 200
    return time.perf_counter() - begun


def bare_s():
    """How long all services take to be imported, at once: no start can be shorter."""
    begun = time.perf_counter()
    imports = [
        subprocess.Popen([sys.executable, "-c", f"import services.{name}.app"], cwd=ROOT)
        for name in SERVICES
    ]
    assert [process.wait(60) for process in imports] == [0] * len(SERVICES)
    return time.perf_counter() - begun


def shares(installation):
    """The proportional set size of every process of the installation, by its name."""
    supervisor = psutil.Process(installation.process.pid)
    named = {entry["pid"]: name for name, entry in installation.state()["processes"].items()}
    found: dict[str, int] = {"supervisor": supervisor.memory_full_info().pss}
    for process in supervisor.children(recursive=True):
        lineage = [process, *process.parents()]
        name = next((named[one.pid] for one in lineage if one.pid in named), "supervisor")
        found[name] = found.get(name, 0) + process.memory_full_info().pss
    return found


def test_from_the_command_to_the_log_in_page(tmp_path, show):
    installation = Installation(tmp_path / "var", free_port())
    first = start_s(installation)
    installation.stop()
    taken, bare = [], []
    for _ in range(STARTS):
        bare.append(bare_s())
        taken.append(start_s(installation))
        installation.stop()
    ratio = median_ratio(taken, bare)
    show(
        f"start to log-in page: first {first:.2f} s, later "
        + beside(statistics.median(taken), START_BUDGET_S, "s")
        + f"; bare imports {statistics.median(bare):.2f} s: {ratio:.1f} times as long"
        f" (at most {TIMES_BARE_MAX:g})"
    )
    assert ratio <= TIMES_BARE_MAX


def test_memory_of_all_processes_at_rest(tmp_path, show):
    installation = Installation(tmp_path / "var", free_port())
    installation.start()
    try:
        by_name = shares(installation)
    finally:
        installation.stop()
    total = sum(by_name.values())
    lines = [f"  {name:<11}{pss / 2**20:7.1f} MiB" for name, pss in sorted(by_name.items())]
    show(
        "memory at rest (PSS):\n"
        + "\n".join(lines)
        + f"\n  total {total / 2**20:.0f} MiB (limit {MEMORY_LIMIT_BYTES / 2**20:.0f} MiB:"
        f" {total / MEMORY_LIMIT_BYTES:.0%})"
    )
    assert total < MEMORY_LIMIT_BYTES
