"""What each agent's machine does now, from its latest heartbeat."""

from typing import Any, Final

from shared.contracts.agents import Heartbeat, NodeLoad
from shared.kernel.clock import Clock, render_time
from shared.kernel.slots import render_amount

STALE_S: Final = 60.0
AGENTS_MAX: Final = 20_000


class AgentLoads:
    """The latest heartbeat of each agent; one that is too old says nothing any more."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: dict[str, tuple[float, Heartbeat]] = {}

    def record(self, heartbeat: Heartbeat) -> None:
        """Keep a heartbeat; a goodbye forgets the agent."""
        if heartbeat.goodbye is not None:
            self._latest.pop(heartbeat.agent_id, None)
        elif heartbeat.agent_id in self._latest or len(self._latest) < AGENTS_MAX:
            self._latest[heartbeat.agent_id] = (self._clock.monotonic(), heartbeat)

    def live(self, agent_id: str) -> dict[str, Any] | None:
        """Return what an agent's machine does now, as the API shows it, or None."""
        known = self._latest.get(agent_id)
        if known is None or self._clock.monotonic() - known[0] > STALE_S:
            return None
        return _render(known[1])


def _render(heartbeat: Heartbeat) -> dict[str, Any]:
    load: NodeLoad = heartbeat.load
    slots = {device.device_id: device.slot for device in heartbeat.profile.devices}
    return {
        "at": render_time(heartbeat.at),
        "cpu_util": load.cpu_percent,
        "mem": {"used": load.mem_used_bytes, "total": load.mem_total_bytes},
        "disk": {"used": load.disk_used_bytes, "total": load.disk_total_bytes},
        "net": {"received_s": load.net_received_bytes_s, "sent_s": load.net_sent_bytes_s},
        "kernels": len(heartbeat.kernels),
        "devices": [
            {
                "id": device.device_id,
                "remaining": render_amount(slots.get(device.device_id, ""), device.remaining),
                "utilisation": device.utilisation_percent,
                "mem_used": device.memory_used_bytes,
                "temperature_c": device.temperature_c,
                "power_w": device.power_w,
            }
            for device in load.devices
        ],
    }
