"""NVIDIA devices through NVML. Every call blocks and belongs in a worker thread.

A machine without a driver costs one failed look at start and one log line.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import pynvml
import structlog

from shared.contracts.agents import DeviceInfo, DeviceLoad
from shared.kernel.slots import MILLI

Mode = Literal["devices", "shares"]
SLOTS: Final[dict[Mode, str]] = {"devices": "cuda.device", "shares": "cuda.shares"}
SHARED_NODES: Final = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class NvidiaDevices:
    """The accelerators found at start. Each gives 1.0 of its slot, in thousandths."""

    def __init__(self, mode: Mode) -> None:
        """Offer whole devices, or shares of them in hundredths."""
        self.slot = SLOTS[mode]
        self.devices: tuple[DeviceInfo, ...] = ()
        self._handles: dict[str, Any] = {}
        self._minors: dict[str, int] = {}

    def open(self) -> None:
        """Look for devices once."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            _log.info("no_nvidia_devices", reason=str(error))
            return
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            device_id = _text(pynvml.nvmlDeviceGetUUID(handle))
            memory = _ask(partial(pynvml.nvmlDeviceGetMemoryInfo, handle))
            minor = _ask(partial(pynvml.nvmlDeviceGetMinorNumber, handle))
            model = _ask(partial(pynvml.nvmlDeviceGetName, handle))
            self._handles[device_id] = handle
            self._minors[device_id] = index if minor is None else minor
            found.append(
                DeviceInfo(
                    device_id=device_id,
                    slot=self.slot,
                    amount=MILLI,
                    model="" if model is None else _text(model),
                    memory_bytes=0 if memory is None else memory.total,
                )
            )
        self.devices = tuple(found)
        _log.info("nvidia_devices", count=len(found), slot=self.slot)

    def load(self, allotted: Mapping[str, int]) -> tuple[DeviceLoad, ...]:
        """Return what each device does, and what is left of it after `allotted` (thousandths)."""
        return tuple(
            self._load_of(device, device.amount - allotted.get(device.device_id, 0))
            for device in self.devices
        )

    def _load_of(self, device: DeviceInfo, remaining: int) -> DeviceLoad:
        handle = self._handles[device.device_id]
        milliwatts = _ask(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        return DeviceLoad(
            device_id=device.device_id,
            remaining=max(0, remaining),
            utilisation_percent=_ask(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            memory_used_bytes=_ask(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used),
            temperature_c=_ask(
                lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
            ),
            power_w=None if milliwatts is None else milliwatts / 1000,
        )

    def nodes(self, device_id: str) -> tuple[str, ...]:
        """Return the device files through which a process uses one device."""
        if device_id not in self._minors:
            return ()
        own = f"/dev/nvidia{self._minors[device_id]}"
        return tuple(node for node in (own, *SHARED_NODES) if Path(node).exists())

    def close(self) -> None:
        """Let go of the driver."""
        if self._handles:
            self._handles.clear()
            pynvml.nvmlShutdown()


def _ask(question: Callable[[], _T]) -> _T | None:
    """Return an answer of the driver, or nothing where this device or driver has none."""
    try:
        return question()
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
