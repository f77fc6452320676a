"""What writes were answered, by idempotency key."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of first answers; `body` is sealed."""
    op.execute(
        """
        create table idempotent_answers (
            key text primary key,
            digest text not null,
            status smallint not null,
            body text not null,
            answered_at timestamptz not null
        )
        """
    )
    op.execute("create index idempotent_answers_by_age on idempotent_answers (answered_at)")
