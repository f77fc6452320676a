"""`qm test`: style, types, import rules, then the tests; one failure fails it all.

With arguments only pytest runs, with these arguments.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from deploy.embedded.terminal import say

_PROGRAMS: Final = Path(sys.executable).parent
_CHECKS: Final = (
    ("style", [str(_PROGRAMS / "ruff"), "check", "--quiet", "."]),
    ("format", [str(_PROGRAMS / "ruff"), "format", "--check", "--quiet", "."]),
    ("types", [sys.executable, "-m", "mypy"]),
    ("import rules", [str(_PROGRAMS / "lint-imports"), "--no-logo"]),
)
# How the two workers share the work is in shared/testing/workers.py.
_ALL_TESTS: Final = (
    *("-q", "-m", "not benchmark", "-n", "2", "--dist", "loadscope", "--durations", "15"),
)


def main() -> None:
    """Run the checks in order and exit with 1 when any failed."""
    arguments = sys.argv[1:]
    pytest = [sys.executable, "-m", "pytest"]
    if arguments:
        sys.exit(subprocess.run([*pytest, *arguments], check=False).returncode)
    failed = [title for title, command in _CHECKS if not _passes(title, command)]
    if failed:
        say(f"Failed before the tests: {', '.join(failed)}. The tests run all the same.")
    tests = subprocess.run([*pytest, *_ALL_TESTS], check=False)
    sys.exit(1 if failed else tests.returncode)


def _passes(title: str, command: list[str]) -> bool:
    begun = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = time.monotonic() - begun
    say(f"  {title}: {'ok' if done.returncode == 0 else 'FAILED'} ({seconds:.1f} s)")
    if done.returncode != 0:
        say(f"{done.stdout}{done.stderr}")
    return done.returncode == 0


if __name__ == "__main__":
    main()
