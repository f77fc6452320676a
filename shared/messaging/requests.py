"""Asking a peer and waiting for its answer, with every way in which that fails as a rejection."""

from typing import Final

from nats.aio.client import Client
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from shared.kernel.rejections import Rejection, unavailable
from shared.messaging.connection import AWAY

MAX_IN_FLIGHT: Final = 1_024


class Requester:
    """Sends requests over one connection, at most `max_in_flight` at once."""

    def __init__(self, nats: Client, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._nats = nats
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def request(
        self, peer: str, subject: str, body: bytes, headers: dict[str, str], timeout_s: float
    ) -> tuple[bytes, dict[str, str]] | Rejection:
        """Return the answer's body and headers; `peer` names who is asked, for the messages."""
        if self._in_flight >= self._max_in_flight:
            return unavailable("overloaded", "Too many requests wait for an answer; try again.")
        self._in_flight += 1
        try:
            reply = await self._nats.request(subject, body, timeout=timeout_s, headers=headers)
        except NoRespondersError:
            return unavailable("service_away", f"{peer} is not running; try again.", 2)
        except NatsTimeoutError:
            text = f"{peer} did not answer in {timeout_s:g} s; it may have done it all the same."
            return unavailable("no_answer", text)
        except AWAY:
            return unavailable("bus_away", "The message bus is not reachable; try again.", 2)
        except MaxPayloadError:
            text = f"The request of {len(body)} bytes is too large to be sent."
            return Rejection(kind="too_large", code="too_large", message=text)
        finally:
            self._in_flight -= 1
        return reply.data, reply.headers or {}
