"""What benchmarks share: figures are shown even when everything passes, and again at the end."""

import sys

import pytest

SHOWN = pytest.StashKey[list]()


@pytest.fixture
def show(request, capsys):
    """Return how to show a line of figures beside their limits."""
    name = request.node.path.stem.removeprefix("test_")

    def write(line):
        request.config.stash.setdefault(SHOWN, []).append(f"{name}: {line}")
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write


def pytest_terminal_summary(terminalreporter, config):
    """List all figures once more, on one page."""
    lines = config.stash.get(SHOWN, [])
    if lines:
        terminalreporter.section("benchmarks: figures beside their budgets")
        for line in lines:
            terminalreporter.write_line(line)
