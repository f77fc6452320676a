"""Waiting for a session's end: told by the gateway's live stream, never by asking in a loop."""

from typing import Any, Final

from services.gateway.cli.api import Api
from services.gateway.cli.commands.finding import TERMINAL
from services.gateway.cli.settings import CliError

RECONNECTS: Final = 60


def wait_for_end(api: Api, session_id: str) -> dict[str, Any]:
    """Return the session once it is over; there is no deadline but the caller's patience.

    Every line of the stream (its heartbeats too) is taken as a hint to read the session again, so
    a notice that was lost with a connection costs one heartbeat at most.
    """
    path = f"/v1/sessions/{session_id}"
    for _ in range(RECONNECTS):
        with api.stream("/live", "text/event-stream", topics=f"session:{session_id}") as live:
            session = api.get(path)
            if session["status"] in TERMINAL:
                return session
            for line in live.iter_lines():
                if line:
                    continue
                session = api.get(path)
                if session["status"] in TERMINAL:
                    return session
    raise CliError(f"the gateway ended the live stream {RECONNECTS} times; giving up")
