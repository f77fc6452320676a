"""Restarting sessions."""

from services.gateway.actions.sessions import permitted
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.writes import Written
from shared.contracts.scheduler import RestartSession
from shared.eventlog.records import CommandKey


class RestartSessionBody(Body, frozen=True, kw_only=True):
    """How to restart: what runs may take `grace_s` seconds (0 to 3600) to end by itself."""

    grace_s: int = 10


async def restart_session(
    gateway: Gateway,
    call: Call,
    session_id: str,
    body: RestartSessionBody,
    key: CommandKey | None = None,
) -> Written:
    """Restart a session that the caller may restart."""
    await permitted(gateway, call.caller(), session_id, "sessions.restart")
    command = RestartSession(session_id=session_id, grace_s=body.grace_s)
    return await gateway.writes.perform(call, command, key)
