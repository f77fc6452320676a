"""A domain: the outermost tenant. Its name is its identity."""

from typing import TypeAlias

import msgspec

from services.users.domain.tenants import (
    NAME_MAX,
    description_errors,
    slot_errors,
)
from shared.contracts.base import Event, Limits
from shared.contracts.users import (
    ChangeDomain,
    CreateDomain,
    DomainChanged,
    DomainCreated,
    UsersEvent,
)
from shared.contracts.users.types import AllowedHosts
from shared.kernel.changes import differing
from shared.kernel.hosts import host_errors
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict, not_found


class Domain(msgspec.Struct, frozen=True):
    """What is known of a domain; `name` is None before it exists."""

    name: str | None = None
    description: str = ""
    is_active: bool = True
    allowed_hosts: AllowedHosts = {}
    total_resource_slots: Limits = {}


DomainCommand: TypeAlias = CreateDomain | ChangeDomain
INITIAL = Domain()


def evolve(state: Domain, event: Event) -> Domain:
    """Return the domain after an event."""
    if isinstance(event, DomainCreated):
        return Domain(
            name=event.name,
            description=event.description,
            is_active=event.is_active,
            allowed_hosts=event.allowed_hosts,
            total_resource_slots=event.total_resource_slots,
        )
    if isinstance(event, DomainChanged):
        fields = ("description", "is_active", "allowed_hosts", "total_resource_slots")
        return msgspec.structs.replace(state, **differing(state, event, *fields))
    return state


def decide(
    state: Domain, command: DomainCommand, _context: None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Create a domain once, or change what is given and different."""
    if isinstance(command, CreateDomain):
        return _create(state, command)
    return _change(state, command)


def _create(state: Domain, command: CreateDomain) -> tuple[UsersEvent, ...] | Rejection:
    errors = (*name_errors(command.name, NAME_MAX), *_errors(command))
    if errors:
        return all_invalid(errors)
    if state.name is not None:
        text = f"There is a domain '{command.name}' already."
        return conflict("domain_exists", text, field="name")
    return (
        DomainCreated(
            name=command.name,
            description=command.description,
            is_active=command.is_active,
            allowed_hosts=command.allowed_hosts,
            total_resource_slots=command.total_resource_slots,
        ),
    )


def _change(state: Domain, command: ChangeDomain) -> tuple[UsersEvent, ...] | Rejection:
    if state.name is None:
        return not_found("domain", command.name[:64])
    errors = _errors(command)
    if errors:
        return all_invalid(errors)
    fields = ("description", "is_active", "allowed_hosts", "total_resource_slots")
    changed = differing(state, command, *fields)
    return (DomainChanged(name=state.name, **changed),) if changed else ()


def _errors(command: DomainCommand) -> tuple[FieldError, ...]:
    return (
        *description_errors(command.description),
        *host_errors(command.allowed_hosts),
        *slot_errors(command.total_resource_slots),
    )
