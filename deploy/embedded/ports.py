"""TCP ports of this machine."""

import random
import socket
from pathlib import Path
from typing import Final

LOCALHOST: Final = "127.0.0.1"
_LOWEST: Final = 10_240
_TRIES: Final = 2_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def hold_port(port: int, host: str = LOCALHOST) -> socket.socket:
    """Return a socket that keeps `port` for a server of ours; OSError when somebody has it.

    The server can listen on it, as it reuses addresses, and again whenever it is started anew:
    meanwhile nobody picks the port.
    """
    held = _socket(host)
    try:
        # a port whose last connections are only lingering can be had
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        with _socket(host) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError:
        held.close()
        raise
    return held


def hold_ports(count: int, host: str = LOCALHOST) -> list[socket.socket]:
    """Hold `count` ports that nobody has; OSError when there are too few.

    They lie below those that the system gives to outgoing connections: otherwise a client that
    connects anywhere could get the port of a server that is just being started again.
    """
    candidates = range(_LOWEST, int(_EPHEMERAL.read_text().split()[0]))
    if len(candidates) < _TRIES:  # somebody has widened that range: then there is no better one
        candidates = range(_LOWEST, 65_536)
    held: list[socket.socket] = []
    for port in random.sample(candidates, _TRIES):
        if len(held) == count:
            return held
        picked = _socket(host)
        try:
            picked.bind((host, port))  # reuses nothing: neither is it held, nor does it linger
        except OSError:
            picked.close()
        else:
            picked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # for the server
            held.append(picked)
    for picked in held:
        picked.close()
    raise OSError(f"{host} has no {count} free ports")


def number_of(held: socket.socket) -> int:
    """Return the port that a socket holds."""
    number: int = held.getsockname()[1]
    return number


def free_port(host: str = LOCALHOST) -> int:
    """Return a port that nobody has at this moment; see `hold_ports`."""
    (held,) = hold_ports(1, host)
    with held:
        return number_of(held)


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
