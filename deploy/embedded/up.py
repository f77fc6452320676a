"""`qm up`: run an installation in the foreground, or with `--detach` behind the scenes."""

import argparse
import asyncio
import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.embedded.install import ROOT
from deploy.embedded.layout import Layout
from deploy.embedded.lock import InstanceLock
from deploy.embedded.ports import hold_port, hold_ports, number_of
from deploy.embedded.state import read_state
from deploy.embedded.supervisor import supervise
from deploy.embedded.terminal import complain, continue_in, say

DEFAULT_PORT: Final = 8420
EXIT_PORT_TAKEN: Final = 3
EXIT_ALREADY_UP: Final = 4
_DETACHED: Final = "QM_DETACHED"


def main() -> None:
    """Parse the arguments, refuse what cannot work, supervise."""
    options = _parser().parse_args()
    layout = Layout(options.data.absolute())
    lock = InstanceLock(layout.lock)
    try:
        layout.make()
        taken = not lock.acquire()
    except OSError as error:
        complain(f"{layout.data} cannot be used: {error.strerror} ({error.filename}).")
        sys.exit(1)
    if taken:
        complain(f"{layout.data} is already served by process {lock.holder()}; see `qm status`.")
        complain("Stop it with `qm down`, or give another directory with --data.")
        sys.exit(EXIT_ALREADY_UP)
    host = options.host
    try:
        held = hold_port(options.port, host) if options.port else hold_ports(1, host)[0]
    except OSError as error:
        complain(f"port {options.port} of {host} cannot be had: {error.strerror or error}.")
        complain("Give another one with --port (0 picks a free one).")
        sys.exit(EXIT_PORT_TAKEN)
    port = number_of(held)
    if options.detach:
        held.close()
        lock.release()
        sys.exit(_detach(layout, host, port))
    say(f"Quartermaster in {layout.data}")
    on_started = None
    if os.environ.pop(_DETACHED, None):
        on_started = functools.partial(continue_in, layout.logs / "supervisor.log")
    with held:
        sys.exit(asyncio.run(supervise(layout, host, port, on_started)))


def _detach(layout: Layout, host: str, port: int) -> int:
    """Start a supervisor of its own session, show what it says until it has started."""
    arguments = ["--data", str(layout.data), "--host", host, "--port", str(port)]
    supervisor = subprocess.Popen(
        [sys.executable, "-P", "-m", "deploy.embedded.up", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, _DETACHED: "1"},
        start_new_session=True,
        text=True,
    )
    assert supervisor.stdout is not None  # noqa: S101  # asked for a pipe
    try:
        for line in supervisor.stdout:  # ends when it has started, or itself
            say(line.rstrip("\n"))
    except KeyboardInterrupt:
        supervisor.terminate()
        return supervisor.wait()
    if read_state(layout.state).get("state") == "ready":
        return 0
    return supervisor.poll() or 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qm up", description="Run Quartermaster here.")
    parser.add_argument(
        "--data", type=Path, default=ROOT / "var", help="where everything is kept (./var)"
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help=f"of API and console ({DEFAULT_PORT})"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--detach", action="store_true", help="return when it is ready")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port


if __name__ == "__main__":
    main()
