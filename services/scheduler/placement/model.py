"""The words of placement: agents, shapes of requests, waiting sessions, places."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from shared.kernel.slots import Slots

Scheduler = Literal["fifo", "lifo", "drf"]
Strategy = Literal["dispersed", "concentrated", "roundrobin", "legacy"]
ClusterMode = Literal["single-node", "multi-node"]
DeviceShares: TypeAlias = dict[str, dict[str, int]]

DEFAULT_RETRIES_TO_SKIP: Final = 3
SLOT_PRIORITY: Final = ("cuda", "rocm", "tpu", "cpu", "mem")


class Device(NamedTuple):
    """One accelerator of an agent: `slot` is what it is asked for by, `amount` what it has."""

    device_id: str
    slot: str
    amount: int


class Agent(NamedTuple):
    """What placement needs to know of an agent; `images` None means any image can be had there."""

    agent_id: str
    group: str
    architecture: str
    capacity: Slots
    devices: tuple[Device, ...] = ()
    images: frozenset[str] | None = None
    incarnation: str = ""
    alive: bool = True
    schedulable: bool = True
    gone: bool = False


class Shape(NamedTuple):
    """What a session asks for; sessions of one shape share one answer about feasibility.

    `slots` is what each kernel asks for, sorted by name; `kernels` how many there are. When
    agents are `designated`, no other will do.
    """

    slots: tuple[tuple[str, int], ...]
    image: str
    architecture: str
    kernels: int = 1
    mode: ClusterMode = "single-node"
    designated: tuple[str, ...] = ()

    def suits(self, agent: Agent) -> bool:
        """Tell whether an agent has the image and is one of those asked for, full or not."""
        return (
            agent.architecture == self.architecture
            and (agent.images is None or self.image in agent.images)
            and (not self.designated or agent.agent_id in self.designated)
        )

    def per_node(self) -> tuple[tuple[str, int], ...]:
        """Return what one node must have free to hold its part."""
        if self.mode == "single-node" and self.kernels > 1:
            return tuple((name, amount * self.kernels) for name, amount in self.slots)
        return self.slots

    def total(self) -> tuple[tuple[str, int], ...]:
        """Return what the whole session holds once it has its place."""
        if self.kernels == 1:
            return self.slots
        return tuple((name, amount * self.kernels) for name, amount in self.slots)

    def nodes(self) -> int:
        """Return how many parts are placed one by one."""
        return self.kernels if self.mode == "multi-node" else 1


def shape_of(
    resources: Slots,
    image: str,
    architecture: str,
    kernels: int,
    mode: ClusterMode,
    designated: Iterable[str] = (),
) -> Shape:
    """Return the shape of a request; one kernel is always single-node."""
    slots = tuple(sorted((name, amount) for name, amount in resources.items() if amount > 0))
    mode = mode if kernels > 1 else "single-node"
    return Shape(slots, image, architecture, kernels, mode, tuple(sorted(set(designated))))


class Waiting(NamedTuple):
    """A session that waits. `turn` grows with every enqueue of the log, so it is the age.

    `scopes` are the ledgers that it is charged to, such as `keypair:…`, `user:…`, `project:…` and
    `domain:…`; `user` is whose share it counts for.
    """

    session_id: str
    priority: int
    turn: int
    shape: Shape
    kernel_ids: tuple[str, ...]
    user: str = ""
    scopes: tuple[str, ...] = ()


class KernelPlace(NamedTuple):
    """Where a kernel goes, and how much it takes of which device, by slot."""

    kernel_id: str
    agent_id: str
    devices: DeviceShares


class Placed(NamedTuple):
    """A session whose kernels all have a place."""

    session_id: str
    kernels: tuple[KernelPlace, ...]


class GroupOptions(NamedTuple):
    """How a resource group places.

    `retries_to_skip` is for FIFO; 0 lets the first in line block for ever. `max_containers` is how
    many kernels an agent may have, None any number. `allows_fragmentation`: whether a share that
    no single device can give may be spread over several.
    """

    name: str
    is_active: bool = True
    strategy: Strategy = "dispersed"
    retries_to_skip: int = DEFAULT_RETRIES_TO_SKIP
    scheduler: Scheduler = "fifo"
    max_containers: int | None = None
    allows_fragmentation: bool = True


def slot_rank(name: str) -> tuple[int, str]:
    """Return the place of a slot in comparisons: scarce accelerators first, then cpu and mem."""
    for rank, prefix in enumerate(SLOT_PRIORITY):
        if name.startswith(prefix):
            return rank, name
    return len(SLOT_PRIORITY), name
