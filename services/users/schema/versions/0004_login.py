"""What log-ins need: wrong guesses, seeds of one-time passwords, and the sessions that live."""

from alembic import op

revision = "0004"
down_revision = "0003"

_STATEMENTS = (
    # By the keyed hash of the address, known or not; a row that is too old is as good as none.
    """
    create table login_attempts (
        fingerprint text primary key,
        failures integer not null,
        last_at timestamptz not null
    )
    """,
    "create index login_attempts_by_age on login_attempts (last_at)",
    # Codes of `last_step` and before it are used up; `seed_id` tells a seed from the one before.
    """
    create table totp_seeds (
        user_id text primary key,
        seed_id text not null,
        sealed_seed text not null,
        is_confirmed boolean not null default false,
        last_step bigint not null default -1
    )
    """,
    """
    create table logins (
        login_id text primary key,
        user_id text not null,
        expires_at timestamptz not null
    )
    """,
    "create index logins_by_user on logins (user_id)",
    """
    insert into logins (login_id, user_id, expires_at)
        select data->>'login_id', data->>'user_id', (data->>'expires_at')::timestamptz
        from events
        where type = 'LoginStarted' and (data->>'expires_at')::timestamptz > now()
            and stream not in (select stream from events where type = 'LoginEnded')
    """,
)


def upgrade() -> None:
    """Create the tables and take in the sessions that the log knows to live."""
    for statement in _STATEMENTS:
        op.execute(statement)
