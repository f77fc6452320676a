"""Identifiers: UUIDv7 (RFC 9562 §5.7), so that ids sort by the time they were made."""

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 in its canonical text form (36 characters, lower case)."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Tell whether `text` is a UUID in canonical form."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def made_at(identifier: str) -> datetime:
    """Return the moment (UTC, milliseconds) that a UUIDv7 carries."""
    milliseconds = UUID(identifier).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
