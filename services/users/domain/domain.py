"""A domain: the outermost tenant. Its name is its identity."""

import msgspec

from shared.contracts.base import Event
from shared.contracts.users import DomainCreated, UsersEvent
from shared.kernel.rejections import Rejection, conflict, invalid

NAME_MAX = 64


class Domain(msgspec.Struct, frozen=True):
    """What is known of a domain; `name` is None before it exists."""

    name: str | None = None


class CreateDomain(msgspec.Struct, frozen=True):
    """The wish for a new domain."""

    name: str
    description: str = ""


INITIAL = Domain()


def evolve(state: Domain, event: Event) -> Domain:
    """Return the domain after an event."""
    if isinstance(event, DomainCreated):
        return Domain(name=event.name)
    return state


def decide(
    state: Domain, command: CreateDomain, _context: None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Create a domain once."""
    if state.name is not None:
        return conflict("domain_exists", f"There is a domain '{command.name}' already.")
    if not 0 < len(command.name) <= NAME_MAX or not command.name.isprintable():
        return invalid("name", "name", f"A domain's name has 1 to {NAME_MAX} characters.")
    return (DomainCreated(name=command.name, description=command.description),)
