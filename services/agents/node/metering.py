"""What each running kernel uses, measured now and then, with rates since the time before."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import structlog

from services.agents.node.cgroups.driver import Usage
from services.agents.node.runtime import KernelKey
from shared.contracts.agents import DeviceInfo, DeviceLoad
from shared.contracts.kernels import DeviceUsage, KernelSpec, KernelUsage
from shared.kernel.clock import Clock

# Beats that are hurried by a change repeat what was measured less than this ago. Where there are
# many kernels, measuring takes a hundredth of the time at most, unless that makes it too seldom.
MEASURE_EVERY_S: Final = 2.0
MEASURE_SELDOM_S: Final = 15.0
PART_OF_TIME: Final = 0.01
_log = structlog.get_logger(__name__)


class _Measured(NamedTuple):
    at_s: float
    usage: KernelUsage


class KernelMeter:
    """Measures kernels through `read`, which blocks: it works in the thread of the devices."""

    def __init__(
        self, read: Callable[[KernelKey], Usage], devices: Sequence[DeviceInfo], clock: Clock
    ) -> None:
        """Tell of accelerators what these are."""
        self._read = read
        self._devices = {device.device_id: device for device in devices}
        self._clock = clock
        self._known: dict[KernelKey, _Measured] = {}
        self._every_s = MEASURE_EVERY_S

    def measure(
        self, running: Iterable[KernelSpec], loads: Iterable[DeviceLoad]
    ) -> tuple[KernelUsage, ...]:
        """Return what the running kernels use; `loads` is what the accelerators do now."""
        by_device = {load.device_id: load for load in loads}
        now_s = self._clock.monotonic()
        known: dict[KernelKey, _Measured] = {}
        cost_s, count = 0.0, 0
        for spec in running:
            key = KernelKey(spec.kernel_id, spec.attempt)
            before = self._known.get(key)
            if before is None or now_s - before.at_s >= self._every_s:
                at_s = self._clock.monotonic()
                known[key] = _Measured(at_s, self._one(spec, before, by_device, at_s))
                cost_s += self._clock.monotonic() - at_s
                count += 1
            else:
                known[key] = before
        self._known = known
        if count:
            whole_s = cost_s / count * len(known)
            self._every_s = min(MEASURE_SELDOM_S, max(MEASURE_EVERY_S, whole_s / PART_OF_TIME))
        return tuple(measured.usage for measured in known.values())

    def _one(
        self,
        spec: KernelSpec,
        before: _Measured | None,
        loads: dict[str, DeviceLoad],
        at_s: float,
    ) -> KernelUsage:
        key = KernelKey(spec.kernel_id, spec.attempt)
        try:
            usage = self._read(key)
        except OSError:
            # One strange kernel must not keep the node from beating.
            _log.exception("kernel_not_measured", kernel=str(key))
            usage = Usage()
        return KernelUsage(
            session_id=spec.session_id,
            kernel_id=spec.kernel_id,
            at=self._clock.now(),
            cpu_percent=self._cpu_percent(usage, before, at_s),
            cpu_used_s=None if usage.cpu_s is None else round(usage.cpu_s, 3),
            mem_bytes=usage.memory_bytes,
            mem_peak_bytes=usage.memory_peak_bytes,
            pids=usage.pids,
            io_read_bytes=usage.io_read_bytes,
            io_written_bytes=usage.io_written_bytes,
            devices=self._devices_of(spec, loads),
        )

    @staticmethod
    def _cpu_percent(usage: Usage, before: _Measured | None, at_s: float) -> float | None:
        if before is None or before.usage.cpu_used_s is None or usage.cpu_s is None:
            return None
        elapsed_s = max(1e-3, at_s - before.at_s)
        used_s = usage.cpu_s - before.usage.cpu_used_s
        # Processes that nobody counts any more may take what they used with them.
        return round(100.0 * max(0.0, used_s) / elapsed_s, 2)

    def _devices_of(
        self, spec: KernelSpec, loads: dict[str, DeviceLoad]
    ) -> tuple[DeviceUsage, ...]:
        given = [
            (slot, device_id)
            for slot, amounts in sorted(spec.devices.items())
            for device_id, amount in sorted(amounts.items())
            if amount > 0 and device_id in loads
        ]
        return tuple(
            DeviceUsage(
                device_id=device_id,
                slot=slot,
                utilisation_percent=loads[device_id].utilisation_percent,
                memory_used_bytes=loads[device_id].memory_used_bytes,
                memory_total_bytes=self._memory_of(device_id),
            )
            for slot, device_id in given
        )

    def _memory_of(self, device_id: str) -> int | None:
        device = self._devices.get(device_id)
        return None if device is None else device.memory_bytes or None
