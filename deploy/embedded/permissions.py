"""Who may use which subjects of NATS."""

from collections.abc import Mapping

from deploy.embedded.nats import NatsUser


def nats_users(passwords: Mapping[str, str]) -> list[NatsUser]:
    """Return the users of an installation's NATS server with what each may do."""
    return [NatsUser(name, password) for name, password in passwords.items()]
