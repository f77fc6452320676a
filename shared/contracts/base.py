"""What every message of the published language is made of."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec

from shared.kernel.rejections import Rejection

ServiceName = Literal[
    "users", "policies", "scheduler", "agents", "storage", "modelstore", "gateway"
]
LOG_SERVICES: tuple[ServiceName, ...] = (
    "users",
    "policies",
    "scheduler",
    "agents",
    "storage",
    "modelstore",
)

Sealed = Annotated[
    str,
    msgspec.Meta(description="Ciphertext: `<key version>.<base64url nonce + AES-256-GCM>`."),
]
Slots = Annotated[
    dict[str, int],
    msgspec.Meta(description="Amounts by slot: counts in thousandths, memory in bytes."),
]
Limits = Annotated[
    dict[str, int | None],
    msgspec.Meta(description="Ceilings by slot, units as in Slots; null is unlimited."),
]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A fact of the past. `stream()` is `<aggregate>-<id>`; `AGGREGATE` names the first half."""

    SCHEMA_VERSION: ClassVar[int] = 1
    AGGREGATE: ClassVar[str]

    def key(self) -> str:
        """Return the id of the aggregate that this event belongs to."""
        raise TypeError(f"{type(self).__name__} does not name its aggregate's id")


class Command(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """A wish, addressed to one service; answered by a `Reply`."""

    SERVICE: ClassVar[ServiceName]


class Query(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """A question of one service to another; never asked while a client's read waits."""

    SERVICE: ClassVar[ServiceName]


class Actor(msgspec.Struct, frozen=True):
    """Who did it: a user (with the credential used) or a service on its own account."""

    kind: Literal["user", "service", "node"]
    id: str
    credential: str | None = None


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """The circumstances of a command or an event; stored with each event."""

    actor: Actor
    correlation_id: str
    causation_id: str | None = None
    request_id: str | None = None
    acted_as: str | None = None
    client_address: str | None = None


class Accepted(msgspec.Struct, frozen=True, tag="accepted", tag_field="outcome", kw_only=True):
    """The command is in the log. `position` is the read-your-writes token of `service`."""

    service: ServiceName
    position: int
    result: dict[str, Any] = {}


class Rejected(msgspec.Struct, frozen=True, tag="rejected", tag_field="outcome", kw_only=True):
    """The command was refused; nothing has changed."""

    rejection: Rejection


Reply: TypeAlias = Accepted | Rejected
