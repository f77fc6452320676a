"""`qm up`, `qm down`, `qm test`: set this machine up, then become the program that does it.

Only the standard library: nothing is installed when this runs first.
"""

import os
import sys
from pathlib import Path

from deploy.embedded.install import ROOT, VENV, ensure_installed
from deploy.embedded.packages import BUBBLEWRAP, FOR_TESTS, wish_for
from deploy.embedded.terminal import SetupError, complain


def main() -> None:
    """Install what the command needs and run it in place of this process."""
    command, arguments = sys.argv[1:2], sys.argv[2:]
    try:
        match command:
            case ["up"]:
                python = ensure_installed("runtime")
                wish_for(BUBBLEWRAP, VENV)
                _become(python, "deploy.embedded.up", arguments)
            case ["down"]:
                _become(ensure_installed("runtime"), "deploy.embedded.down", arguments)
            case ["test"]:
                python = ensure_installed("dev")
                for package in FOR_TESTS:
                    wish_for(package, VENV)
                os.chdir(ROOT)
                _become(python, "deploy.embedded.checks", arguments)
            case _:
                _become(ensure_installed("runtime"), "services.gateway.cli", sys.argv[1:])
    except SetupError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        complain("interrupted; run it again to go on.")
        sys.exit(130)


def _become(python: Path, module: str, arguments: list[str]) -> None:
    sys.stdout.flush()
    os.execv(python, [str(python), "-P", "-m", module, *arguments])  # noqa: S606  # no shell


if __name__ == "__main__":
    main()
