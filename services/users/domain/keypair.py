"""A keypair: what a program signs its requests with."""

import msgspec

from shared.contracts.base import Event
from shared.contracts.users import KeypairIssued, KeypairStatus, UsersEvent
from shared.kernel.rejections import Rejection, conflict, invalid

DEFAULT_RATE_LIMIT = 10_000
ADMINISTRATOR_RATE_LIMIT = 30_000


class Keypair(msgspec.Struct, frozen=True):
    """What is known of a keypair; `access_key` is None before it exists."""

    access_key: str | None = None
    user_id: str = ""
    is_main: bool = False
    status: KeypairStatus = "inactive"


class IssueKeypair(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for a new keypair; `rate_limit` counts requests in 900 s, None is unlimited."""

    access_key: str
    user_id: str
    resource_policy: str
    is_main: bool = False
    rate_limit: int | None = DEFAULT_RATE_LIMIT


INITIAL = Keypair()


def evolve(state: Keypair, event: Event) -> Keypair:
    """Return the keypair after an event."""
    if isinstance(event, KeypairIssued):
        return Keypair(
            access_key=event.access_key,
            user_id=event.user_id,
            is_main=event.is_main,
            status=event.status,
        )
    return state


def decide(
    state: Keypair, command: IssueKeypair, _context: None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Issue a keypair once; it is active from the start."""
    if state.access_key is not None:
        return conflict("keypair_exists", f"There is a keypair '{command.access_key}' already.")
    if command.rate_limit is not None and command.rate_limit < 0:
        return invalid("rate_limit", "negative", "A rate limit is 0 or more.")
    return (
        KeypairIssued(
            access_key=command.access_key,
            user_id=command.user_id,
            is_main=command.is_main,
            status="active",
            resource_policy=command.resource_policy,
            rate_limit=command.rate_limit,
        ),
    )
