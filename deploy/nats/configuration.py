"""The server's configuration file, for the embedded server and for compose alike."""

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

MAX_PAYLOAD_BYTES: Final = 4 << 20
MAX_MEMORY_BYTES: Final = 128 << 20
MAX_STORE_BYTES: Final = 64 << 30


class NatsUser(NamedTuple):
    """One client: its permissions as NATS writes them; None allows every subject."""

    name: str
    password: str
    permissions: dict[str, Any] | None = None


def render(listen: str, store_dir: str, users: Iterable[NatsUser]) -> str:
    """Return the file's content; it holds the passwords."""
    settings = {
        "server_name": "quartermaster",
        "listen": listen,
        "max_payload": MAX_PAYLOAD_BYTES,
        "logtime_utc": True,
        "jetstream": {
            "store_dir": store_dir,
            "max_memory_store": MAX_MEMORY_BYTES,
            "max_file_store": MAX_STORE_BYTES,
        },
        "authorization": {
            "users": [
                {"user": user.name, "password": user.password}
                | ({} if user.permissions is None else {"permissions": user.permissions})
                for user in users
            ]
        },
    }
    # NATS reads JSON as its own format
    return json.dumps(settings, indent=2) + "\n"
