"""Where use and limits are booked: scopes such as `project:<id>`, and what each may hold."""

from typing import Final, NamedTuple

from shared.contracts.base import Limits
from shared.contracts.policies import LifetimeBase, Unspecified
from shared.contracts.scheduler import SessionEnqueued


class Ceiling(NamedTuple):
    """What a scope may hold at once, and how long each session may live; null is unlimited.

    A null `idle_timeout_s` leaves it to the settings how long a session may be idle; 0 is for ever.
    """

    slots: Limits
    default: Unspecified = "unlimited"
    max_sessions: int | None = None
    lifetime_s: int | None = None
    idle_timeout_s: int | None = None
    lifetime_base: LifetimeBase = "started"


# a keypair whose policy has not been heard of yet starts nothing: its limits are not known
CLOSED: Final = Ceiling({}, max_sessions=0)


def keypair_scope(access_key: str) -> str:
    """Return the scope of a keypair."""
    return f"keypair:{access_key}"


def project_scope(project_id: str) -> str:
    """Return the scope of a project."""
    return f"project:{project_id}"


def domain_scope(name: str) -> str:
    """Return the scope of a domain."""
    return f"domain:{name}"


def scopes_of(event: SessionEnqueued) -> tuple[str, ...]:
    """Return the scopes whose limits hold for a session."""
    tenants = (project_scope(event.project_id), domain_scope(event.domain))
    return tenants if event.access_key is None else (keypair_scope(event.access_key), *tenants)
