"""The passwords that the parts of an installation know each other by; generated once."""

import json
import secrets
from dataclasses import asdict, dataclass
from typing import Final

from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.roster import NATS_USERS, SERVICES

_PASSWORD_BYTES: Final = 24


@dataclass(frozen=True)
class Passwords:
    """Who logs in with what: the superuser, each service's role, each user of NATS."""

    postgres_admin: str
    postgres: dict[str, str]
    nats: dict[str, str]

    def __repr__(self) -> str:
        """Show nothing."""
        return "Passwords(…)"


def load_passwords(layout: Layout) -> Passwords:
    """Read the passwords, generating those that are missing (mode 0600)."""
    known = json.loads(layout.passwords.read_text()) if layout.passwords.exists() else {}
    postgres, nats = known.get("postgres", {}), known.get("nats", {})
    passwords = Passwords(
        known.get("postgres_admin") or _generate(),
        {name: postgres.get(name) or _generate() for name in SERVICES},
        {name: nats.get(name) or _generate() for name in NATS_USERS},
    )
    if asdict(passwords) != known:
        write_private(layout.passwords, json.dumps(asdict(passwords), indent=2))
    return passwords


def _generate() -> str:
    return secrets.token_urlsafe(_PASSWORD_BYTES)
