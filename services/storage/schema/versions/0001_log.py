"""The log of the storage service."""

from shared.eventlog import schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the log's tables and functions."""
    schema.create_log()
