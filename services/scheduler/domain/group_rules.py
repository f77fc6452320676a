"""What the fields of a resource group may be; all that is wrong is said at once."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

from shared.contracts.kernels import SessionType
from shared.contracts.scheduler import (
    ALL_SESSION_TYPES,
    ChangeResourceGroup,
    CreateResourceGroup,
    SchedulerType,
)
from shared.kernel.rejections import FieldError

NAME_MAX: Final = 64
DESCRIPTION_MAX: Final = 512
ADDRESS_MAX: Final = 1024
RETRIES_MAX: Final = 1000
PENDING_TIMEOUT_MAX_S: Final = 315_360_000
ALLOWED_MAX: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def field_errors(command: CreateResourceGroup | ChangeResourceGroup) -> Iterator[FieldError]:
    """Yield what is wrong with the fields that are given."""
    if isinstance(command, CreateResourceGroup) and (
        not _NAME.fullmatch(command.name) or command.name in {".", ".."}
    ):
        text = f"A name has 1 to {NAME_MAX} letters, digits, underscores, dots and dashes."
        yield FieldError("name", "characters", text)
    yield from _description_errors(command.description)
    yield from _number_errors(command)
    if command.allowed_session_types is not UNSET and not command.allowed_session_types:
        text = f"Allow at least one type of sessions: {', '.join(ALL_SESSION_TYPES)}."
        yield FieldError("allowed_session_types", "empty", text)
    if isinstance(command.wsproxy_addr, str):
        yield from _address_errors(command.wsproxy_addr)
    for field in ("allowed_domains", "allowed_projects", "allowed_keypairs"):
        value = getattr(command, field)
        if isinstance(value, tuple) and len(value) > ALLOWED_MAX:
            yield FieldError(field, "too_many", f"Name at most {ALLOWED_MAX} of them.")


def only_fifo(scheduler: SchedulerType, retries: int | UnsetType | None) -> Iterator[FieldError]:
    """Yield the refusal of retries for a scheduler that has no use for them."""
    if scheduler != "fifo" and isinstance(retries, int) and retries:
        text = f"Retries to skip are for FIFO only; with {scheduler} leave them out, or give 0."
        yield FieldError("retries_to_skip", "only_fifo", text)


def in_order(types: tuple[SessionType, ...]) -> tuple[SessionType, ...]:
    """Return types of sessions in their usual order, each once."""
    return tuple(one for one in ALL_SESSION_TYPES if one in types)


def proxy_address(address: str) -> str | None:
    """Return an app proxy's address as it is kept; nothing is no proxy."""
    return address.rstrip("/") or None


def _description_errors(description: str | UnsetType) -> Iterator[FieldError]:
    if description is UNSET:
        return
    if len(description) > DESCRIPTION_MAX:
        text = f"A description has at most {DESCRIPTION_MAX} characters."
        yield FieldError("description", "too_long", text)
    elif not description.replace("\n", "").replace("\t", "").isprintable():
        text = "A description holds no control characters."
        yield FieldError("description", "control_character", text)


def _number_errors(command: CreateResourceGroup | ChangeResourceGroup) -> Iterator[FieldError]:
    for field, most in (
        ("retries_to_skip", RETRIES_MAX),
        ("pending_timeout", PENDING_TIMEOUT_MAX_S),
    ):
        value = getattr(command, field)
        if isinstance(value, int) and not 0 <= value <= most:
            yield FieldError(field, "out_of_range", f"{field} must be between 0 and {most}.")


def _address_errors(address: str) -> Iterator[FieldError]:
    if not address:
        return
    if len(address) > ADDRESS_MAX:
        text = f"An address has at most {ADDRESS_MAX} characters."
        yield FieldError("wsproxy_addr", "too_long", text)
    elif not _is_address(address):
        text = "Give the app proxy's address as http://host[:port] or https://host[:port]."
        yield FieldError("wsproxy_addr", "not_an_address", text)


def _is_address(address: str) -> bool:
    if not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    is_bare = not (parts.username or parts.password or parts.query or parts.fragment)
    has_host = bool(parts.hostname) and port != 0
    return parts.scheme in {"http", "https"} and has_host and is_bare
