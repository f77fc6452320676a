"""Tasks that go on after their request was answered; whom a remembered answer is about."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables; `input` and `shown_once` are sealed and gone when they are of no use."""
    op.execute(
        """
        create table tasks (
            task_id text primary key,
            owner text not null,
            kind text not null,
            idempotency_key text unique,
            digest text,
            status text not null check (status in ('running', 'done', 'failed', 'cancelled')),
            done int not null default 0,
            total int not null,
            unit text not null,
            message text not null default '',
            error text,
            is_cancel_asked boolean not null default false,
            input text,
            runner text,
            seen_at timestamptz,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            ended_at timestamptz
        )
        """
    )
    op.execute("create index tasks_running on tasks (created_at) where status = 'running'")
    op.execute("create index tasks_ended on tasks (ended_at) where ended_at is not null")
    op.execute(
        """
        create table task_pieces (
            task_id text references tasks on delete cascade,
            first int,
            outcome text not null,
            shown_once text,
            primary key (task_id, first)
        )
        """
    )
    op.execute("alter table idempotent_answers add column about text[] not null default '{}'")
    op.execute(
        "create index idempotent_answers_about on idempotent_answers using gin (about)"
        " where about <> '{}'"
    )
