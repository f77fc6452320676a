"""What the node asks of whatever runs kernels: processes now, containers and clusters later.

A runtime keeps its own durable traces of every (kernel, attempt), so that a new daemon can ask
what became of it. `start` of one key never runs a command twice, however often it is called and
wherever the caller died: each call carries a launch number that its caller has made durable
before, and only the newest launch may run, once.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, Protocol

import msgspec

from services.agents.node.cgroups.driver import Limits, Usage
from shared.contracts.agents import Enforcement
from shared.contracts.kernels import AutoPull, EndReason

Presence = Literal["absent", "starting", "running", "ended", "lost"]


class KernelKey(NamedTuple):
    """One placement of one kernel."""

    kernel_id: str
    attempt: int

    def __str__(self) -> str:
        """Return `<kernel>.<attempt>`, for logs and names."""
        return f"{self.kernel_id}.{self.attempt}"


class KernelJob(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel to start, with everything opened and decided. `environ` may hold secrets.

    `sudo` asks for root inside: in the kernel's own view of users, never on the machine.
    `shared_memory_bytes` is how much of its memory /dev/shm may take, None all of it.
    `image_digest` is what the image shall be, "" where that is not known.
    """

    key: KernelKey
    session_id: str
    image: str
    hostname: str
    argv: tuple[str, ...]
    environ: dict[str, str]
    limits: Limits
    device_nodes: tuple[str, ...] = ()
    user_index: int = 0
    sudo: bool = False
    shared_memory_bytes: int | None = None
    image_auto_pull: AutoPull = "digest"
    image_digest: str = ""


class LocalImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a node has; `digest` is "" where its runtime knows none."""

    digest: str = ""


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel ended. `code` is `None` where the command never began (`error` tells why)."""

    code: int | None
    at: datetime
    oom_kills: int = 0
    error: str = ""
    notes: tuple[str, ...] = ()


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime finds of one key.

    absent: nothing has run; starting: a launch is on its way; running; ended: `exit` tells how;
    lost: it ran and is gone, and nobody saw its end.
    """

    presence: Presence
    started_at: datetime | None = None
    exit: Exit | None = None


class RuntimeProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime says of itself: images it can run, what it enforces, notes for people.

    `obstacles` are those of the notes that tell why this host enforces less than it might.
    """

    name: str
    images: tuple[str, ...]
    isolation: dict[str, Enforcement]
    notes: tuple[str, ...]
    obstacles: tuple[str, ...] = ()


class StartRefusedError(Exception):
    """A kernel cannot be started here; the text tells a person why."""

    reason: ClassVar[EndReason] = "failed-to-start"


class ImageNotAvailableError(StartRefusedError):
    """An image is not on this node and cannot be had; the text tells a person why."""

    reason = "image-not-available"


class Runtime(Protocol):
    """Runs kernels. Every method may be called again after a crash with the same effect."""

    async def open(self) -> RuntimeProfile:
        """Find out what this host allows; called once, first."""
        ...

    async def find_image(self, image: str) -> LocalImage | None:
        """Return what this node has under a name now, None nothing."""
        ...

    async def fetch_image(self, image: str) -> None:
        """Get an image anew from where it is kept; raises `ImageNotAvailableError`."""
        ...

    async def prepare(self, job: KernelJob) -> None:
        """Make folders and limits ready; raises `StartRefusedError`."""
        ...

    async def start(self, job: KernelJob, launch: int) -> None:
        """Launch the kernel unless it has ever begun; raises `StartRefusedError`."""
        ...

    async def forbid(self, key: KernelKey) -> bool:
        """Make sure that the key never runs any more; false where it has begun already."""
        ...

    async def inspect(self, key: KernelKey) -> Observation:
        """Return what is there now."""
        ...

    async def wait_change(self, key: KernelKey, seen: Presence) -> Observation:
        """Return the first observation that is not `seen` any more; waits for events."""
        ...

    async def stop(self, key: KernelKey, *, force: bool) -> None:
        """Ask the kernel's processes to end (SIGTERM), or end them at once and all of them."""
        ...

    async def collect(self, key: KernelKey) -> None:
        """Free what an ended kernel held (processes, groups, mounts); keep its log."""
        ...

    async def trim(self, key: KernelKey) -> None:
        """Delete what only a living kernel needs (its files); keep its log."""
        ...

    async def remove(self, key: KernelKey) -> None:
        """Delete everything of an ended kernel, its log too."""
        ...

    def usage(self, key: KernelKey) -> Usage:
        """Return what the kernel uses now. It blocks for a moment: call it in a thread."""
        ...

    async def leftovers(self, known: Sequence[KernelKey]) -> tuple[str, ...]:
        """End and free what runs here for no known kernel; return names of what was found."""
        ...

    async def close(self) -> None:
        """Let go of handles; kernels go on."""
        ...
