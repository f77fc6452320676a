"""From what is desired to what a runtime is given: command, environment, limits, devices."""

from typing import Final, Protocol

from services.agents.node.cgroups.driver import Limits
from services.agents.node.runtime import KernelJob, KernelKey, StartRefusedError
from shared.contracts.base import Sealed
from shared.contracts.kernels import KernelSpec
from shared.kernel.slots import Slots

# A session that is worked in from outside needs something that stays until it is ended.
PLACEHOLDER: Final = ("sleep", "infinity")
# What a process of this machine needs at the very least, should a request name less.
MINIMUM: Final[Slots] = {"cpu": 100, "mem": 64 * 2**20}
ACCELERATOR_PREFIX: Final = "cuda."


class Opener(Protocol):
    """Opens what is sealed for this node."""

    def __call__(self, kernel_id: str, sealed: Sealed) -> dict[str, str]:
        """Return a kernel's environment; raises `StartRefusedError` where it does not open."""
        ...


class DeviceNodes(Protocol):
    """Knows the device files of this machine's accelerators."""

    def __call__(self, device_id: str) -> tuple[str, ...]:
        """Return the files that one device is used through."""
        ...


def make_job(
    spec: KernelSpec, user_index: int, pids_limit: int, open_environ: Opener, nodes: DeviceNodes
) -> KernelJob:
    """Return the job of a kernel; raises `StartRefusedError` with a reason for people."""
    environ = {} if spec.environ is None else open_environ(spec.kernel_id, spec.environ)
    devices = devices_of(spec)
    return KernelJob(
        key=KernelKey(spec.kernel_id, spec.attempt),
        session_id=spec.session_id,
        image=spec.image,
        hostname=spec.hostname,
        argv=argv_of(spec),
        environ={**environ, **own_environ(spec, devices)},
        limits=limits_of(spec, pids_limit),
        device_nodes=tuple(dict.fromkeys(node for device in devices for node in nodes(device))),
        user_index=user_index,
        sudo=spec.sudo,
        shared_memory_bytes=spec.shared_memory,
        image_auto_pull=spec.image_auto_pull,
        image_digest=spec.image_digest,
    )


def argv_of(spec: KernelSpec) -> tuple[str, ...]:
    """Return what is run: the command as given, or a placeholder where none is needed."""
    if spec.command:
        return spec.command
    # The other kernels of a cluster session wait for what the main one tells them.
    if spec.session_type == "batch" and spec.hostname.startswith("main"):
        raise StartRefusedError("A batch session needs a command, and this one has none.")
    return PLACEHOLDER


def devices_of(spec: KernelSpec) -> tuple[str, ...]:
    """Return the accelerators that a kernel was given, in a stable order."""
    return tuple(
        sorted(
            device
            for slot, amounts in spec.devices.items()
            if slot.startswith(ACCELERATOR_PREFIX)
            for device, amount in amounts.items()
            if amount > 0
        )
    )


def own_environ(spec: KernelSpec, devices: tuple[str, ...]) -> dict[str, str]:
    """Return the variables that the node sets; a session cannot set them otherwise."""
    visible = ",".join(devices)
    return {
        "QM_SESSION_ID": spec.session_id,
        "QM_SESSION_NAME": spec.session_name,
        "QM_KERNEL_ID": spec.kernel_id,
        "QM_HOSTNAME": spec.hostname,
        "CUDA_VISIBLE_DEVICES": visible,
        "NVIDIA_VISIBLE_DEVICES": visible or "void",
    }


def limits_of(spec: KernelSpec, pids_limit: int) -> Limits:
    """Return the ceilings of a kernel; what is not named or too little gets the minimum."""
    return Limits(
        cpu_millis=max(MINIMUM["cpu"], spec.resources.get("cpu", 0)),
        memory_bytes=max(MINIMUM["mem"], spec.resources.get("mem", 0)),
        pids=pids_limit,
    )
