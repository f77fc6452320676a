"""TCP ports of this machine."""

import random
import socket
from pathlib import Path
from typing import Final

_LOWEST: Final = 10_240
_TRIES: Final = 2_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return `count` different ports that nobody listens on; OSError when there are too few.

    They lie below those that the system gives to outgoing connections: otherwise a client that
    connects anywhere could get the port of a server that is just being started again.
    """
    candidates = range(_LOWEST, int(_EPHEMERAL.read_text().split()[0]))
    if len(candidates) < _TRIES:  # somebody has widened that range: then there is no better one
        candidates = range(_LOWEST, 65_536)
    found: list[int] = []
    for port in random.sample(candidates, _TRIES):
        if len(found) == count:
            break
        if is_free(port, host):
            found.append(port)
    if len(found) < count:
        raise OSError(f"{host} has no {count} free ports")
    return found


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on; see `free_ports`."""
    return free_ports(1, host)[0]


def is_free(port: int, host: str) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # as servers do: a port whose last connections are only lingering counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
