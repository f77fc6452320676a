"""What each person has chosen in the console, such as the columns that are shown."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table; `value` is JSON, as it was given."""
    op.execute(
        """
        create table preferences (
            user_id text,
            name text,
            value text not null,
            changed_at timestamptz not null,
            primary key (user_id, name)
        )
        """
    )
