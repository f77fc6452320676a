"""What happened to an object, as it is told to people."""

from datetime import datetime
from typing import Any, Literal

import msgspec


class ActorDocument(msgspec.Struct, kw_only=True):
    """Who did it. `name` is null for one who is out of the reader's sight, or was erased."""

    kind: Literal["user", "service", "node"]
    id: str
    name: str | None


class ChangeDocument(msgspec.Struct, kw_only=True):
    """What a field held before and after; null is also how something begins and ends."""

    before: Any = msgspec.field(name="from")
    after: Any = msgspec.field(name="to")


class EventDocument(msgspec.Struct, kw_only=True):
    """One event of a service's log. `aggregate` and `id` name the object it happened to.

    `changes` is by field; a member or kernel of the object is `members.<id>.<field>`. Personal
    texts are null once the person has been erased, and secrets are in none of it. `credential`
    and `client_address` are told to superadmins, monitors, and whoever acted.
    """

    position: int
    service: str
    type: str
    at: datetime
    aggregate: str
    id: str
    actor: ActorDocument
    credential: str | None
    acted_as: str | None
    client_address: str | None
    request_id: str | None
    changes: dict[str, ChangeDocument]
