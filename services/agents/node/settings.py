"""What a node needs to know, from its environment."""

import socket
from pathlib import Path
from typing import Annotated

import msgspec

from services.agents.node.devices.nvidia import Mode
from shared.kernel.slots import Slots, parse_slots
from shared.runtime.settings import Settings, SettingsError


class NodeSettings(Settings, frozen=True, kw_only=True):
    """`QM_AGENT_DATA` is a folder of this node's own: the journal and the kernels live there.

    `agent_slots` is a JSON object that replaces what the machine would offer, slot by slot, such
    as `{"cpu": "4", "mem": "8g"}`. `sandbox` false leaves bubblewrap out.
    """

    agent_data: Path
    agent_id: str = f"i-{socket.gethostname().split('.')[0]}"
    agent_address: str = f"process://{socket.gethostname()}"
    agent_slots: str = "{}"
    region: str = "local"
    resource_group: str = "default"
    node_key_file: Path | None = None
    heartbeat_interval_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 3.0
    gpu_mode: Mode = "devices"
    sandbox: bool = True
    kernel_log_limit_bytes: Annotated[int, msgspec.Meta(ge=0)] = 16 * 2**20
    kernel_pids_limit: Annotated[int, msgspec.Meta(ge=8)] = 1024
    kernel_logs_kept: Annotated[int, msgspec.Meta(ge=0)] = 500


def slots_override(settings: NodeSettings) -> Slots:
    """Return the amounts that replace what the machine offers; raises `SettingsError`."""
    try:
        raw = msgspec.json.decode(settings.agent_slots, type=dict[str, int | float | str])
    except msgspec.DecodeError as problem:
        raise SettingsError(f"QM_AGENT_SLOTS is wrong: {problem}") from problem
    slots = parse_slots(raw)
    if isinstance(slots, tuple):
        raise SettingsError("QM_AGENT_SLOTS is wrong: " + "; ".join(e.message for e in slots))
    return slots
