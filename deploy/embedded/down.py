"""`qm down`: stop an installation cleanly, wherever it was started."""

import argparse
import os
import select
import signal
import sys
from pathlib import Path
from typing import Final

from deploy.embedded.install import ROOT
from deploy.embedded.layout import Layout
from deploy.embedded.lock import InstanceLock
from deploy.embedded.terminal import Step, complain, say

TIMEOUT_S: Final = 60.0


def main() -> None:
    """Ask the supervisor to stop and wait until it has."""
    parser = argparse.ArgumentParser(prog="qm down", description="Stop Quartermaster.")
    parser.add_argument("--data", type=Path, default=ROOT / "var", help="its directory (./var)")
    layout = Layout(parser.parse_args().data.absolute())
    try:
        pid = InstanceLock(layout.lock).holder()
        if pid is None:
            say(f"Nothing runs in {layout.data}.")
        elif not _stop(pid):
            complain(f"process {pid} has not stopped after {TIMEOUT_S:g} s; see {layout.logs}.")
            sys.exit(1)
    except PermissionError:
        complain(f"{layout.data} belongs to somebody else; run this as the one who started it.")
        sys.exit(1)


def _stop(pid: int) -> bool:
    """Ask the supervisor to stop; return whether it has."""
    try:
        handle = os.pidfd_open(pid)
        with Step("Stopping; sessions go on running"):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            return bool(select.select([handle], [], [], TIMEOUT_S)[0])
    except ProcessLookupError:
        return True  # it ended by itself just now


if __name__ == "__main__":
    main()
