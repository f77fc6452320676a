"""Asking a process on this machine whether it is ready."""

import asyncio
import json
from typing import Final

from deploy.embedded.ports import LOCALHOST

ANSWER_TIMEOUT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.4


async def is_ready(port: int, host: str = LOCALHOST, service: str | None = None) -> bool:
    """Tell whether `GET /readyz` is answered with 200, by `service` if that is given."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /readyz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return head.split(b" ")[1:2] == [b"200"] and service in {None, _answering(body)}


def _answering(body: bytes) -> str | None:
    """Return which service says that it is ready; None: somebody else's program."""
    try:
        return str(json.loads(body)["service"])
    except (ValueError, TypeError, LookupError):
        return None


async def until_ready(service: str, port: int, timeout_s: float, host: str = LOCALHOST) -> bool:
    """Ask until that service says yes; False when `timeout_s` is over.

    Another process cannot wake us, so it is asked again at growing distances.
    """
    pause_s = _FIRST_PAUSE_S
    try:
        async with asyncio.timeout(timeout_s):
            while not await is_ready(port, host, service):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.3, _LONGEST_PAUSE_S)
    except TimeoutError:
        return False
    return True
