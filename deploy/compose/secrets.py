"""Generates what compose.yaml mounts: passwords, keys, settings, the server's configuration.

    python -m deploy.compose.secrets deploy/compose/secrets

Safe to repeat: what exists is kept. Files are 0600, except that the containers' unprivileged user
(uid 10001) must be able to read what is mounted into it; run this as root, and it owns them.
"""

import os
import sys
from pathlib import Path
from typing import Final

from deploy.embedded.credentials import ensure_credentials
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.passwords import Passwords, load_passwords
from deploy.embedded.prepare import ensure_keys
from deploy.embedded.roster import ADMINISTRATOR, DATABASE, NODE, SERVICES
from deploy.nats.configuration import render
from deploy.nats.permissions import nats_users

AGENT_ID: Final = "compose"
ENDPOINT: Final = "http://127.0.0.1:8420"
UNPRIVILEGED_ID: Final = 10001
_MOUNTED: Final = "/run/qm"


class Directory(Layout):
    """A layout whose secrets all lie in one directory."""

    @property
    def secrets(self) -> Path:
        """The directory itself."""
        return self.data


def generate(directory: Path) -> None:
    """Write every file that is missing and bring the derived ones up to date."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    layout = Directory(directory.absolute())
    passwords = load_passwords(layout)
    ensure_keys(layout, AGENT_ID)
    ensure_credentials(layout, ENDPOINT)
    users = nats_users(passwords.nats, AGENT_ID)
    write_private(directory / "nats.conf", render("0.0.0.0:4222", "/data", users))
    for name, settings in _settings(passwords).items():
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        write_private(directory / f"{name}.env", lines)
    if os.geteuid() == 0:
        for path in (layout.passwords, layout.master_key, layout.credentials):
            os.chown(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID)


def _settings(passwords: Passwords) -> dict[str, dict[str, str]]:
    """Return the environment of each container."""
    admin = passwords.postgres_admin
    settings = {
        "postgres": {"POSTGRES_PASSWORD": admin},
        "provision": {
            "QM_ADMIN_DATABASE_URL": _database("postgres", admin),
            "QM_ADMIN_NATS_URL": _nats(passwords, ADMINISTRATOR),
            "QM_PASSWORDS_FILE": f"{_MOUNTED}/passwords.json",
        },
        NODE: {
            "QM_NATS_URL": _nats(passwords, NODE),
            "QM_AGENT_ID": AGENT_ID,
            "QM_AGENT_DATA": "/var/lib/quartermaster",
            "QM_RESOURCE_GROUP": "default",
            "QM_NODE_KEY_FILE": f"{_MOUNTED}/node-key.json",
        },
    }
    for name in SERVICES:
        settings[name] = {
            "QM_DATABASE_URL": _database(f"qm_{name}", passwords.postgres[name]),
            "QM_NATS_URL": _nats(passwords, name),
            "QM_MASTER_KEY_FILE": f"{_MOUNTED}/master-key.json",
        }
    settings["users"]["QM_BOOTSTRAP_FILE"] = f"{_MOUNTED}/admin-credentials.json"
    return settings


def _database(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@postgres:5432/{DATABASE}"


def _nats(passwords: Passwords, name: str) -> str:
    return f"nats://{name}:{passwords.nats[name]}@nats:4222"


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
