"""Somebody outside of the system who counts how often each session really ran."""

import socket
import threading
from collections import Counter


class Witness:
    """A TCP server on 127.0.0.1 that counts the lines it is sent."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.seen: Counter[str] = Counter()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def command(self) -> list[str]:
        """Return a session's command that tells the witness its session id, once."""
        return ["bash", "-c", f"echo $QM_SESSION_ID > /dev/tcp/127.0.0.1/{self.port}"]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    self.seen[line.strip()] += 1

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
