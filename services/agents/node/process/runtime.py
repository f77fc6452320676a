"""The process runtime: kernels are sandboxed process groups of this machine."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM
from typing import Final

import msgspec
import structlog

from services.agents.node.cgroups.driver import CgroupDriver, Usage, settle, signal_all
from services.agents.node.domain.evidence import judge
from services.agents.node.inotify import FolderChanges
from services.agents.node.process.confine import Confinement
from services.agents.node.process.folder import AttemptFolder
from services.agents.node.process.launch import make_plan, spawn, wait_gone
from services.agents.node.process.probe import (
    explain,
    explain_shared_memory,
    find_confinement,
    state_isolation,
)
from services.agents.node.process.tally import tree_usage
from services.agents.node.process.tree import children, descendants
from services.agents.node.runtime import (
    ImageNotAvailableError,
    KernelJob,
    KernelKey,
    LocalImage,
    Observation,
    Presence,
    RuntimeProfile,
    StartRefusedError,
)

HOST_IMAGE: Final = "local/host:latest"
TERMINATE_ROUNDS: Final = 5
_log = structlog.get_logger(__name__)


class ProcessOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the runtime behaves. `sandbox` false leaves bubblewrap out even where it works.

    `images` are further names for this machine's own programs.
    """

    log_limit_bytes: int = 64 * 2**20
    sandbox: bool = True
    images: tuple[str, ...] = ()


class ProcessRuntime:
    """Implements `Runtime` with a keeper process per kernel (see `shim.py`)."""

    def __init__(
        self, root: Path, groups: CgroupDriver | None, options: ProcessOptions, *notes: str
    ) -> None:
        """Keep traces below `root`; `notes` tell people where the limits come from."""
        self._root = root
        self._groups = groups
        self._options = options
        self._images = tuple(dict.fromkeys((HOST_IMAGE, *options.images)))
        self._notes = notes
        self._confinement = Confinement(root=False, user_base=None)
        self._spawned: dict[KernelKey, subprocess.Popen[bytes]] = {}
        self._changes: FolderChanges | None = None

    async def open(self) -> RuntimeProfile:
        """Try the sandbox out and say what is enforced here."""
        await asyncio.to_thread(self._root.mkdir, parents=True, exist_ok=True)
        self._changes = FolderChanges()
        self._confinement, notes = await asyncio.to_thread(
            find_confinement, self._root, sandbox=self._options.sandbox
        )
        isolation = state_isolation(self._confinement, self._groups)
        return RuntimeProfile(
            name="process",
            images=self._images,
            isolation=isolation,
            notes=(
                *self._notes,
                *notes,
                *explain(isolation),
                *explain_shared_memory(self._confinement),
            ),
            obstacles=(*(self._notes if self._groups is None else ()), *notes[:1]),
        )

    async def find_image(self, image: str) -> LocalImage | None:
        """Tell whether this machine's programs go by a name here."""
        return LocalImage() if image in self._images else None

    async def fetch_image(self, image: str) -> None:  # noqa: ARG002  # none can be
        """Refuse: what a machine's own programs stand for is told by its images file alone."""
        raise ImageNotAvailableError(
            "the process runtime runs this machine's own programs and fetches nothing. Name the"
            " image in images.json in the node's data folder and restart its daemon, or choose"
            " an image that the node offers."
        )

    async def prepare(self, job: KernelJob) -> None:
        """Make the attempt's folder and control group."""
        await asyncio.to_thread(self._prepare, job)

    def _prepare(self, job: KernelJob) -> None:
        try:
            self._folder(job.key).make(self._confinement.owner(job))
            if self._groups is not None:
                self._groups.create(str(job.key), job.limits)
        except OSError as error:
            raise StartRefusedError(f"The kernel could not be prepared: {error}") from error

    async def start(self, job: KernelJob, launch: int) -> None:
        """Permit this launch alone, then start its keeper."""
        folder = self._folder(job.key)
        if not await asyncio.to_thread(folder.permit, launch):
            return
        try:
            plan = make_plan(
                job,
                launch,
                folder,
                self._confinement,
                self._groups,
                self._options.log_limit_bytes,
            )
            self._spawned[job.key] = await asyncio.to_thread(spawn, plan, folder)
        except OSError as error:
            raise StartRefusedError(f"The kernel could not be launched: {error}") from error

    async def forbid(self, key: KernelKey) -> bool:
        """Withdraw every permit."""
        return await asyncio.to_thread(self._folder(key).permit, None)

    async def inspect(self, key: KernelKey) -> Observation:
        """Read the traces."""
        return await asyncio.to_thread(self._inspect, key)

    def _inspect(self, key: KernelKey) -> Observation:
        folder = self._folder(key)
        process = self._spawned.get(key)
        spawned = process is not None and process.poll() is None
        keeper = folder.keeper()
        started, ended = folder.started(), folder.ended()
        presence = judge(
            keeper=keeper is not None,
            spawned=spawned,
            started=started is not None,
            ended=ended is not None,
        )
        return Observation(
            presence=presence, started_at=None if started is None else started.at, exit=ended
        )

    async def wait_change(self, key: KernelKey, seen: Presence) -> Observation:
        """Wait for the keeper's end, or for its records where it has only been launched."""
        while True:
            folder = self._folder(key)
            pid = await asyncio.to_thread(self._keeper_of, key)
            if seen == "starting":
                now = await self._wait_record(key, pid)
            else:
                if pid is not None:
                    await self._wait_keeper(folder, pid)
                now = await self.inspect(key)
            if now.presence != seen or pid is None:
                return now

    def _keeper_of(self, key: KernelKey) -> int | None:
        process = self._spawned.get(key)
        if process is not None and process.poll() is None:
            return process.pid
        return self._folder(key).keeper()

    async def _wait_record(self, key: KernelKey, pid: int | None) -> Observation:
        if self._changes is None:
            raise RuntimeError("the runtime is not open")
        folder = self._folder(key)
        with self._changes.watch(folder.path) as changed:
            now = await self.inspect(key)
            if now.presence != "starting" or pid is None:
                return now
            waits = [asyncio.ensure_future(wait_gone(pid)), asyncio.ensure_future(changed.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return await self.inspect(key)

    async def _wait_keeper(self, folder: AttemptFolder, pid: int) -> None:
        await wait_gone(pid)
        process = next((one for one in self._spawned.values() if one.pid == pid), None)
        if process is not None:
            await asyncio.to_thread(process.wait)
        _log.debug("keeper gone", folder=folder.path.name, pid=pid)

    async def stop(self, key: KernelKey, *, force: bool) -> None:
        """Signal the kernel's processes; by force, until none is left."""
        await asyncio.to_thread(self._kill if force else self._terminate, key)

    def _commands(self, key: KernelKey) -> tuple[int, ...]:
        """Return the command's processes, without its keeper and the sandbox around it."""
        folder = self._folder(key)
        keeper, started = folder.keeper(), folder.started()
        frame = {keeper}
        if started is not None and started.sandboxed:
            frame |= {started.child, *children(started.child)}
        found = () if self._groups is None else self._groups.processes(str(key))
        if not found and keeper is not None:
            found = descendants(keeper)
        return tuple(pid for pid in found if pid not in frame)

    def _terminate(self, key: KernelKey) -> None:
        """Ask the command to end; one that is just being started is waited for."""
        for _ in range(TERMINATE_ROUNDS):
            asked: list[int] = []

            def ask(asked: list[int] = asked) -> bool:
                asked += self._commands(key)
                return bool(asked) or self._folder(key).keeper() is None

            if settle(ask):
                signal_all(asked, SIGTERM)
                return

    def _kill(self, key: KernelKey) -> None:
        folder = self._folder(key)
        if self._groups is not None and not self._groups.kill(str(key)):
            _log.error("a control group could not be emptied", kernel=str(key))
        keeper, started = folder.keeper(), folder.started()
        if self._groups is None and keeper is not None and started is not None:
            # The keeper reaps and kills whatever the command leaves behind.
            signal_all([*descendants(keeper), started.child])

    async def collect(self, key: KernelKey) -> None:
        """Kill what is left in the group and remove it; reap the keeper."""
        process = self._spawned.pop(key, None)
        if process is not None:
            await wait_gone(process.pid)
            await asyncio.to_thread(process.wait)
        await asyncio.to_thread(self._free, str(key))

    def _free(self, name: str) -> None:
        if self._groups is None:
            return
        if not (self._groups.kill(name) and self._groups.remove(name)):
            _log.error("a control group could not be removed", group=name)

    async def trim(self, key: KernelKey) -> None:
        """Delete the work folder."""
        await asyncio.to_thread(self._folder(key).remove_work)

    async def remove(self, key: KernelKey) -> None:
        """Delete the attempt's folder."""
        await asyncio.to_thread(self._folder(key).remove)

    def usage(self, key: KernelKey) -> Usage:
        """Read the group's accounting; without groups, ask the processes."""
        if self._groups is not None:
            return self._groups.usage(str(key))
        keeper = self._folder(key).keeper()
        return Usage() if keeper is None else tree_usage(keeper)

    async def leftovers(self, known: Sequence[KernelKey]) -> tuple[str, ...]:
        """Free groups of kernels that no journal knows."""
        return await asyncio.to_thread(self._leftovers, {str(key) for key in known})

    def _leftovers(self, known: set[str]) -> tuple[str, ...]:
        if self._groups is None:
            return ()
        found = tuple(name for name in self._groups.names() if name not in known)
        for name in found:
            self._free(name)
        return found

    async def close(self) -> None:
        """Stop listening; remove the node's group where nothing runs."""
        if self._changes is not None:
            self._changes.close()
            self._changes = None
        if self._groups is not None:
            await asyncio.to_thread(self._groups.close)

    def _folder(self, key: KernelKey) -> AttemptFolder:
        return AttemptFolder(self._root, key)

    def log_path(self, key: KernelKey) -> Path:
        """Return where the log of a kernel lies; it may not exist."""
        return self._folder(key).log
