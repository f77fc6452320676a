"""A resource group: a queue of its own and the agents that serve it."""

from typing import Final

import msgspec

from services.scheduler.placement.model import (
    DEFAULT_RETRIES_TO_SKIP,
    GroupOptions,
    Strategy,
)
from shared.contracts.kernels import SessionType
from shared.contracts.scheduler import ResourceGroupCreated

DEFAULT_GROUP: Final = "default"
_STRATEGIES: Final[dict[str, Strategy]] = {
    "dispersed": "dispersed",
    "concentrated": "concentrated",
}


class ResourceGroup(msgspec.Struct, frozen=True):
    """What is known of a group."""

    name: str
    is_active: bool
    allowed_session_types: tuple[SessionType, ...]
    options: GroupOptions


def evolve(_state: ResourceGroup | None, event: ResourceGroupCreated) -> ResourceGroup:
    """Return the state after an event.

    Raises ValueError for a scheduler or a strategy that this release can't place by.
    """
    wanted = event.agent_selection_strategy
    strategy = _STRATEGIES.get(wanted)
    if event.scheduler != "fifo" or strategy is None:
        raise ValueError(f"{event.name}: cannot place by {event.scheduler} and {wanted}")
    retries = event.retries_to_skip
    options = GroupOptions(
        name=event.name,
        is_active=event.is_active,
        strategy=strategy,
        retries_to_skip=DEFAULT_RETRIES_TO_SKIP if retries is None else retries,
    )
    return ResourceGroup(event.name, event.is_active, event.allowed_session_types, options)


def seed(state: ResourceGroup | None) -> tuple[ResourceGroupCreated, ...]:
    """Create the default group, unless it is there."""
    if state is not None:
        return ()
    return (
        ResourceGroupCreated(
            name=DEFAULT_GROUP, description="Created at the first start.", is_default=True
        ),
    )
