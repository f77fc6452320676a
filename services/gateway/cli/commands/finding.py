"""Finding a session by what people type: its id or its name."""

from typing import Any
from uuid import UUID

from services.gateway.cli.api import Api
from services.gateway.cli.settings import CliError

TERMINAL = frozenset({"TERMINATED", "CANCELLED", "ERROR"})


def find_session(api: Api, key: str) -> dict[str, Any]:
    """Return the session with this id, or the one with exactly this name.

    Of several of one name a single live one wins, else the newest. Raises CliError when there is
    none, and when several live ones share the name.
    """
    try:
        return api.get(f"/v1/sessions/{UUID(key)}")
    except ValueError:
        pass
    found = api.get("/v1/sessions", name=key, sort="-created_at", limit=100)
    same = [item for item in found["items"] if item.get("name") == key]
    live = [item for item in same if item.get("status") not in TERMINAL]
    if len(live) > 1:
        ids = ", ".join(str(item["id"]) for item in live)
        raise CliError(f"several live sessions are named '{key}'; give one of their ids: {ids}")
    if not same:
        raise CliError(f"there is no session '{key}'")
    return api.get(f"/v1/sessions/{(live or same)[0]['id']}")
