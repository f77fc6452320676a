"""An index of accounts, keypairs and memberships, written in the transactions of their events.

What the log already holds is taken in here, so that an installation of an older version goes on.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = (
    "alter table domains add column is_active boolean not null default true",
    "alter table projects add column is_active boolean not null default true",
    "alter table projects add column resource_policy text not null default 'default'",
    """
    create table accounts (
        user_id text primary key,
        domain text not null references domains,
        role text not null,
        status text not null,
        resource_policy text not null,
        is_erased boolean not null default false
    )
    """,
    "create index accounts_by_domain on accounts (domain)",
    "create index accounts_by_policy on accounts (resource_policy)",
    "create index accounts_of_superadmins on accounts (user_id) where role = 'superadmin'",
    """
    create table keypairs (
        access_key text primary key,
        user_id text not null references accounts,
        status text not null,
        is_main boolean not null,
        resource_policy text not null,
        rate_limit bigint
    )
    """,
    "create index keypairs_by_user on keypairs (user_id)",
    "create index keypairs_by_policy on keypairs (resource_policy)",
    "create unique index keypairs_one_main on keypairs (user_id) where is_main",
    """
    create table memberships (
        project_id text not null references projects,
        user_id text not null references accounts,
        role text not null,
        primary key (project_id, user_id)
    )
    """,
    "create index memberships_by_user on memberships (user_id)",
)
_TAKE_IN = (
    """
    insert into accounts (user_id, domain, role, status, resource_policy)
        select data->>'user_id', data->>'domain', data->>'role', data->>'status',
               data->>'resource_policy'
        from events where type = 'UserCreated'
    """,
    """
    insert into keypairs (access_key, user_id, status, is_main, resource_policy, rate_limit)
        select data->>'access_key', data->>'user_id', data->>'status',
               (data->>'is_main')::boolean, data->>'resource_policy',
               (data->>'rate_limit')::bigint
        from events where type = 'KeypairIssued'
    """,
    """
    insert into memberships (project_id, user_id, role)
        select distinct on (data->>'project_id', data->>'user_id')
               data->>'project_id', data->>'user_id', coalesce(data->>'role', 'member')
        from events where type = 'ProjectMemberAdded'
        order by data->>'project_id', data->>'user_id', position desc
    """,
)


def upgrade() -> None:
    """Create the tables and take in what the log holds."""
    for statement in (*_TABLES, *_TAKE_IN):
        op.execute(statement)
