"""What benchmarks share: figures are shown even when everything passes."""

import sys

import pytest


@pytest.fixture
def show(capsys):
    """Return how to show a line of figures beside their limits."""

    def write(line):
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write
