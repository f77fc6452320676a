"""What keypairs were used for: counts of the last 900 s, when last, and nonces signed ahead."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables; rows of `keypair_requests` and `keypair_nonces` are of minutes only."""
    op.execute(
        """
        create table keypair_requests (
            gateway text not null,
            access_key text not null,
            accepted int not null check (accepted > 0),
            counted_at timestamptz not null
        )
        """
    )
    op.execute("create index keypair_requests_by_age on keypair_requests (counted_at)")
    op.execute(
        """
        create table keypair_uses (
            access_key text primary key,
            last_used_at timestamptz not null
        )
        """
    )
    op.execute(
        """
        create table keypair_nonces (
            access_key text not null,
            nonce text not null,
            expires_at double precision not null,
            primary key (access_key, nonce)
        )
        """
    )
    op.execute("create index keypair_nonces_by_age on keypair_nonces (expires_at)")
