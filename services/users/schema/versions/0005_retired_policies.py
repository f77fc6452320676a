"""Policies that nobody may get any more; and who uses a project policy is found by an index."""

from alembic import op

revision = "0005"
down_revision = "0004"

_STATEMENTS = (
    # `created` is the position of the policy's creation in the log of the policies service.
    """
    create table retired_policies (
        kind text not null,
        name text not null,
        created bigint not null,
        primary key (kind, name)
    )
    """,
    "create index projects_by_policy on projects (resource_policy)",
)


def upgrade() -> None:
    """Create the table and the index."""
    for statement in _STATEMENTS:
        op.execute(statement)
