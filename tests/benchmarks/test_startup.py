"""How long an installed `./qm up` takes to a log-in page, and what everything needs at rest."""

import time

import httpx
import psutil
import pytest

from deploy.embedded.ports import free_port
from shared.testing.installation import Installation

START_LIMIT_S = 8.0
MEMORY_LIMIT_BYTES = 900 * 2**20
STARTS = 3
pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(300)]


def start_s(installation):
    begun = time.perf_counter()
    installation.start()
    assert httpx.get(f"{installation.endpoint}/console/login", timeout=10).status_code == 200
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
    taken = []
    for _ in range(STARTS):
        taken.append(start_s(installation))
        installation.stop()
    first, *later = taken
    show(
        f"start to log-in page: first {first:.2f} s, later {min(later):.2f} s"
        f" (limit {START_LIMIT_S:g} s: {min(later) / START_LIMIT_S:.0%})"
    )
    assert min(later) < START_LIMIT_S


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
