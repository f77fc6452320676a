"""What can be exported, and with which columns."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from services.gateway.documents.events import EventDocument
from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.documents.policies import (
    KeypairPolicyDocument,
    ProjectPolicyDocument,
    UserPolicyDocument,
)
from services.gateway.documents.sessions import SessionDocument
from services.gateway.documents.users import UserDocument
from services.gateway.exports.columns import Column, columns_of
from services.gateway.reads.policies import KEYPAIR_POLICIES, PROJECT_POLICIES, USER_POLICIES
from services.gateway.reads.resources import Resource
from services.gateway.reads.sessions import SESSIONS
from services.gateway.reads.users import KEYPAIRS, USERS

EMAIL: Final = "user_email"
EVENTS: Final[Mapping[str, Column]] = columns_of(EventDocument)


class Kind(NamedTuple):
    """An exported list. `live` are the columns that change by the second.

    `hidden` columns are left out unless they are named.
    """

    resource: Resource
    columns: Mapping[str, Column]
    live: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


def _kind(
    resource: Resource,
    document: type[msgspec.Struct],
    live: tuple[str, ...] = (),
    hidden: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> Kind:
    columns = columns_of(document, *more, *live)
    return Kind(resource, columns, frozenset(live), frozenset(hidden))


KINDS: Final[Mapping[str, Kind]] = {
    "users": _kind(USERS, UserDocument),
    "keypairs": _kind(
        KEYPAIRS, KeypairDocument, ("last_used_at", "requests_in_window"), more=(EMAIL,)
    ),
    "sessions": _kind(
        SESSIONS,
        SessionDocument,
        (
            "position",
            "retries",
            "estimated_start.low",
            "estimated_start.likely",
            "estimated_start.high",
            "reason.code",
            "reason.message",
        ),
        # what each kernel asks for and does; `requested` is all of it together
        hidden=("resources", "kernels", "status_history"),
        more=(EMAIL,),
    ),
    "keypair-policies": _kind(KEYPAIR_POLICIES, KeypairPolicyDocument),
    "user-policies": _kind(USER_POLICIES, UserPolicyDocument),
    "project-policies": _kind(PROJECT_POLICIES, ProjectPolicyDocument),
}
