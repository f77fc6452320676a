"""agents: the machines that run kernels, and the images they offer."""

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

import msgspec

from shared.contracts.base import Command, Event, Slots
from shared.contracts.kernels import KernelPresence, KernelUsage

AgentStatus = Literal["ALIVE", "LOST", "RESTARTING", "TERMINATED"]
Enforcement = Literal["enforced", "best_effort", "not_enforced"]


class DeviceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator: `slot` is what it is asked for by, `amount` what it can give."""

    device_id: str
    slot: str
    amount: int
    model: str = ""
    memory_bytes: int = 0


class AgentProfile(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself; it changes seldom.

    `isolation` tells, for cpu, memory, pids, filesystem, user and network, whether this host
    enforces it, in words for people in `isolation_notes`. `image_labels` are the labels of those
    images that have any.
    """

    address: str
    region: str
    architecture: str
    version: str
    resource_group: str
    runtime: str
    available_slots: Slots
    devices: tuple[DeviceInfo, ...] = ()
    images: tuple[str, ...] = ()
    isolation: dict[str, Enforcement] = {}
    isolation_notes: tuple[str, ...] = ()
    image_labels: dict[str, dict[str, str]] = {}


class AgentEvent(Event, frozen=True):
    """What all events of an agent share."""

    AGGREGATE: ClassVar[str] = "agent"
    agent_id: str

    def key(self) -> str:
        """Return the agent's configured id."""
        return self.agent_id


class AgentConnected(AgentEvent, frozen=True, tag="AgentConnected"):
    """First contact of this incarnation: a data directory that was never seen before."""

    incarnation: str
    profile: AgentProfile


class AgentProfileChanged(AgentEvent, frozen=True, tag="AgentProfileChanged"):
    """A known incarnation reports other slots, images, address, group or version."""

    incarnation: str
    profile: AgentProfile


class AgentLost(AgentEvent, frozen=True, tag="AgentLost"):
    """No heartbeat came in time; what runs there is taken to go on."""

    last_seen_at: datetime


class AgentRevived(AgentEvent, frozen=True, tag="AgentRevived"):
    """A lost or stopped agent beats again, with the same incarnation."""

    incarnation: str


class AgentTerminated(AgentEvent, frozen=True, tag="AgentTerminated"):
    """The agent said goodbye."""

    reason: Literal["stopped", "restarting"]


class AgentSchedulableSet(AgentEvent, frozen=True, tag="AgentSchedulableSet"):
    """Whether new sessions may be placed on the agent."""

    schedulable: bool


class ImageDiscovered(Event, frozen=True, tag="ImageDiscovered"):
    """An image can be run somewhere, or is found again with other labels.

    `minimum` is what each kernel gets of a slot at least, as the labels have it.
    """

    AGGREGATE: ClassVar[str] = "image"
    canonical: str
    architecture: str
    digest: str
    size_bytes: int
    labels: dict[str, str] = {}
    minimum: Slots = {}

    def key(self) -> str:
        """Return `<canonical>/<architecture>`."""
        return f"{self.canonical}/{self.architecture}"


AgentsEvent: TypeAlias = (
    AgentConnected
    | AgentProfileChanged
    | AgentLost
    | AgentRevived
    | AgentTerminated
    | AgentSchedulableSet
    | ImageDiscovered
)


class SetAgentSchedulable(Command, frozen=True, tag="SetAgentSchedulable"):
    """Let an agent take new sessions, or not; what runs there goes on."""

    SERVICE: ClassVar = "agents"
    agent_id: str
    schedulable: bool


AgentsCommand: TypeAlias = SetAgentSchedulable


class DeviceLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What one device does now, and how much of it is not handed out."""

    device_id: str
    remaining: int
    utilisation_percent: float | None = None
    memory_used_bytes: int | None = None
    temperature_c: float | None = None
    power_w: float | None = None


class NodeLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine does now. Rates are per second."""

    cpu_percent: float
    mem_used_bytes: int
    mem_total_bytes: int
    disk_used_bytes: int
    disk_total_bytes: int
    net_received_bytes_s: float
    net_sent_bytes_s: float
    devices: tuple[DeviceLoad, ...] = ()


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Telemetry on `tel.agents.heartbeat.<agent>`: profile, load and every kernel known there.

    `usage` is of the kernels that run.
    """

    agent_id: str
    incarnation: str
    sequence: int
    at: datetime
    profile: AgentProfile
    load: NodeLoad
    kernels: tuple[KernelPresence, ...]
    usage: tuple[KernelUsage, ...] = ()
    goodbye: Literal["stopped", "restarting"] | None = None
