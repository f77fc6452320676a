"""Where the gateway's read models stand."""

from shared.eventlog import schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the checkpoints of the projection runner."""
    schema.create_checkpoints()
