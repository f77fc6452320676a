"""Who may follow what on the live hub."""

from typing import Final

from services.gateway.auth.permissions import covers, forbidden, may, scope_of
from services.gateway.auth.principals import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.problems import malformed
from services.gateway.live import MaySee, Subscription
from services.gateway.reads.sessions import RESOURCE_GROUPS, SESSIONS
from services.gateway.reads.users import USERS
from shared.kernel.rejections import Rejection

# topic (or its part before the colon) -> the action that whoever follows it must have
ACTIONS: Final = {
    "sessions": "sessions.list",
    "session": "sessions.read",
    "stats": "sessions.stats",
    "queue": "queue.list",
    "agents": "agents.list",
    "agent": "agents.read",
    "users": "users.list",
    "user": "users.read",
    "keypairs": "keypairs.list",
    "logins": "auth.sessions.list",
    "domains": "domains.list",
    "projects": "projects.list",
    "resource_groups": "resource-groups.list",
    "images": "images.list",
    "policies": "presets.list",
    "settings": "settings.read",
    "system": "system.info",
}
_OBJECTS: Final = {
    "session": SESSIONS,
    "stats": SESSIONS,
    "user": USERS,
    "queue": RESOURCE_GROUPS,
}


async def allowed_topics(
    gateway: Gateway, principal: Principal, topics: frozenset[str]
) -> Subscription | Rejection | None:
    """Open a stream of topics; refuses unknown and forbidden ones, None when there are too many."""
    for topic in topics:
        kind, _, key = topic.partition(":")
        action = ACTIONS.get(kind)
        if action is None or (key and not key.isprintable()):
            return malformed("malformed_query", f"There is no topic '{topic[:64]}'.")
        if not may(principal, action):
            return forbidden(action)
        resource = _OBJECTS.get(kind)
        if resource is not None:
            found = await gateway.reads.stored(resource, principal, key)
            if isinstance(found, Rejection):
                return found
    return gateway.live.subscribe(
        principal.user_id, topics, _filter(gateway, principal), credential=principal.credential
    )


def _filter(gateway: Gateway, principal: Principal) -> MaySee:
    """Return what decides whether the caller may learn that something of this owner changed."""
    narrow = scope_of(principal, "sessions.list")

    def may_see(topic: str, owner: str | None) -> bool:
        if narrow == "all" or topic not in {"sessions", "users", "keypairs", "logins"}:
            return True
        user = gateway.directory.users.get(owner or "")
        domain = user.domain if user is not None else None
        return covers(narrow, principal, owner=owner, domain=domain)

    return may_see
