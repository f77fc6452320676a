"""TCP ports of this machine."""

import socket


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that was free a moment ago; bind it soon."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # as servers do: a port whose last connections are only lingering counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
