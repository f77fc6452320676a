"""What the users service keeps beside its log: secrets, and an index of domains and projects."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATEMENTS = (
    # One key for each person; deleting the row erases the person from every event.
    "create table person_keys (user_id text primary key, sealed_key text not null)",
    """
    create table credentials (
        user_id text primary key,
        sealed_hash text not null,
        changed_at timestamptz not null
    )
    """,
    """
    create table keypair_secrets (
        access_key text primary key,
        user_id text not null,
        sealed_secret text not null
    )
    """,
    "create index keypair_secrets_by_user on keypair_secrets (user_id)",
    "create table domains (name text primary key)",
    """
    create table projects (
        project_id text primary key,
        domain text not null references domains,
        name text not null,
        project_type text not null,
        unique (domain, name)
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
