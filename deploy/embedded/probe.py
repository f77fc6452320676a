"""Asking a process on this machine whether it is ready."""

import asyncio
from typing import Final

ANSWER_TIMEOUT_S: Final = 5.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.4


async def is_ready(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether `GET /readyz` is answered with 200."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /readyz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split(b" ")[1:2] == [b"200"]


async def until_ready(port: int, timeout_s: float, host: str = "127.0.0.1") -> bool:
    """Ask until the answer is yes; False when `timeout_s` is over.

    Another process cannot wake us, so it is asked again at growing distances.
    """
    pause_s = _FIRST_PAUSE_S
    try:
        async with asyncio.timeout(timeout_s):
            while not await is_ready(port, host):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 1.3, _LONGEST_PAUSE_S)
    except TimeoutError:
        return False
    return True
