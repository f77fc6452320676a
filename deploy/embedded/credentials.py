"""The first administrator: made before the first start, read by the users service."""

import base64
import json
import secrets
import string
from typing import Final

from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.terminal import say

EMAIL: Final = "admin@quartermaster.local"
_SPECIAL: Final = "-_.!"
_LENGTH: Final = 20


def ensure_credentials(layout: Layout, endpoint: str) -> None:
    """Write `admin-credentials.json` (0600); at later starts only `endpoint` is kept current."""
    known = json.loads(layout.credentials.read_text()) if layout.credentials.exists() else {}
    wanted = {
        "endpoint": endpoint,
        "email": known.get("email") or EMAIL,
        "password": known.get("password") or _password(),
        "access_key": known.get("access_key") or _access_key(),
        "secret_key": known.get("secret_key") or secrets.token_urlsafe(30),
    }
    if wanted != known:
        write_private(layout.credentials, json.dumps(wanted, indent=2) + "\n")


def show_once(layout: Layout) -> None:
    """Print the credentials, unless that was done before."""
    shown = layout.secrets / "credentials-shown"
    if shown.exists():
        return
    known = json.loads(layout.credentials.read_text())
    say("  The first administrator, shown this once:")
    for field in ("email", "password", "access_key", "secret_key"):
        say(f"    {field:<11} {known[field]}")
    say(f"  They are also in {layout.credentials}, readable for you only.")
    shown.touch(mode=0o600)


def _password() -> str:
    """Return a random password with a letter, a digit and a special character."""
    alphabet = string.ascii_letters + string.digits + _SPECIAL
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(_LENGTH))
        kinds = (str.isalpha, str.isdigit, _SPECIAL.__contains__)
        if all(any(kind(letter) for letter in password) for kind in kinds):
            return password


def _access_key() -> str:
    return "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode()
