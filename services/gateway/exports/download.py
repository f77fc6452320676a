"""An answer that is made while it is sent, as fast as it is taken, until the caller hangs up."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

from litestar.response.base import ASGIResponse

from services.gateway.exports.asked import content_disposition
from services.gateway.http.outages import OUTAGES
from services.gateway.http.problems import Refused
from shared.observability.logging import get_logger
from shared.runtime.http import Message, Receive, Send

log = get_logger(__name__)
STALL_S: Final = 60.0
WHOLE_S: Final = 3_600.0
Pieces = AsyncGenerator[bytes, None]


class Download(ASGIResponse):
    """Sends pieces as a file; the first is made before the answer begins, and may be refused.

    An answer that breaks off lacks its end, so that whoever receives it knows: when the database
    goes away or the caller may see it no more. Whoever takes nothing for `STALL_S`, or does not
    come to an end within `WHOLE_S`, is cut off.
    """

    _should_set_content_length = False

    def __init__(self, pieces: Callable[[], Pieces], filename: str) -> None:
        headers = {
            "content-disposition": content_disposition(filename),
            "cache-control": "no-store",
        }
        super().__init__(body=b"", media_type="text/csv", headers=headers)
        self._pieces = pieces

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:  # type: ignore[override]  # the same by another name
        """Send everything, or stop at once when the caller is gone."""
        del scope
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_hung_up(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            sending.cancel()  # nothing happens to what is done
            await asyncio.gather(sending, gone, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def _send_all(self, send: Send) -> None:
        async with asyncio.timeout(WHOLE_S), aclosing(self._pieces()) as pieces:
            first = await anext(pieces)
            try:
                headers = self.encode_headers()
                start = {"type": "http.response.start", "status": 200, "headers": headers}
                await _send(send, start)
                await _send(send, _body(first))
                async for piece in pieces:
                    await _send(send, _body(piece))
            except (*OUTAGES, Refused) as problem:
                log.warning("download_broken_off", problem=repr(problem)[:200])
                return
        await _send(send, {"type": "http.response.body", "body": b"", "more_body": False})


def _body(piece: bytes) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": True}


async def _send(send: Send, message: Message) -> None:
    async with asyncio.timeout(STALL_S):
        await send(message)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
