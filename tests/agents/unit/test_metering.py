"""What a beat tells of kernels: rates since the time before, and only what was measured."""

import msgspec

from services.agents.node.cgroups.driver import Usage
from services.agents.node.metering import MEASURE_EVERY_S, KernelMeter
from services.agents.node.runtime import KernelKey
from shared.contracts.agents import DeviceInfo, DeviceLoad
from shared.contracts.kernels import DeviceUsage, KernelSpec
from shared.testing.clock import FakeClock

GPU = DeviceInfo(device_id="GPU-0", slot="cuda.shares", amount=1000, memory_bytes=1000)
BUSY = DeviceLoad(device_id="GPU-0", remaining=500, utilisation_percent=40, memory_used_bytes=300)
OTHER = DeviceLoad(device_id="GPU-1", remaining=1000, utilisation_percent=99)
SPEC = KernelSpec(
    session_id="s",
    kernel_id="k",
    attempt=1,
    epoch=1,
    goal="running",
    session_type="batch",
    session_name="work",
    image="local/host:latest",
    hostname="main1",
    command=None,
    environ=None,
    resources={"cpu": 2000},
    devices={"cuda.shares": {"GPU-0": 500}},
)


class Machine:
    """Stands for what the kernels of a machine use."""

    def __init__(self) -> None:
        self.usage: dict[KernelKey, Usage | OSError] = {}
        self.reads = 0

    def read(self, key: KernelKey) -> Usage:
        self.reads += 1
        found = self.usage[key]
        if isinstance(found, OSError):
            raise found
        return found


def set_up() -> tuple[Machine, KernelMeter, FakeClock]:
    machine, clock = Machine(), FakeClock()
    return machine, KernelMeter(machine.read, [GPU], clock), clock


def test_the_share_of_processors_is_the_mean_since_the_measurement_before():
    machine, meter, clock = set_up()
    machine.usage[KernelKey("k", 1)] = Usage(cpu_s=10.0, memory_bytes=5, pids=2)
    (first,) = meter.measure([SPEC], ())
    assert (first.cpu_percent, first.cpu_used_s, first.mem_bytes, first.pids) == (None, 10.0, 5, 2)
    clock.advance(4.0)
    machine.usage[KernelKey("k", 1)] = Usage(cpu_s=16.0)
    (second,) = meter.measure([SPEC], ())
    assert second.cpu_percent == 150.0
    assert second.mem_bytes is None
    assert second.at > first.at


def test_a_hurried_beat_repeats_what_was_measured_and_measures_only_what_is_new():
    machine, meter, clock = set_up()
    machine.usage = {KernelKey("k", 1): Usage(cpu_s=1.0), KernelKey("n", 1): Usage(cpu_s=2.0)}
    (first,) = meter.measure([SPEC], ())
    clock.advance(MEASURE_EVERY_S / 2)
    newcomer = msgspec.structs.replace(SPEC, kernel_id="n")
    assert meter.measure([SPEC, newcomer], ())[0] == first
    assert machine.reads == 2
    clock.advance(MEASURE_EVERY_S / 2)
    assert meter.measure([SPEC, newcomer], ())[0] != first


def test_another_attempt_of_a_kernel_has_no_rate_from_the_one_before():
    machine, meter, clock = set_up()
    machine.usage = {KernelKey("k", 1): Usage(cpu_s=1.0), KernelKey("k", 2): Usage(cpu_s=50.0)}
    meter.measure([SPEC], ())
    clock.advance(10.0)
    (again,) = meter.measure([msgspec.structs.replace(SPEC, attempt=2)], ())
    assert again.cpu_percent is None


def test_processor_time_that_went_back_is_no_use_at_all_and_never_negative():
    machine, meter, clock = set_up()
    machine.usage[KernelKey("k", 1)] = Usage(cpu_s=10.0)
    meter.measure([SPEC], ())
    clock.advance(10.0)
    machine.usage[KernelKey("k", 1)] = Usage(cpu_s=9.0)
    assert meter.measure([SPEC], ())[0].cpu_percent == 0.0


def test_a_kernel_that_cannot_be_read_is_told_of_without_numbers():
    machine, meter, _ = set_up()
    machine.usage[KernelKey("k", 1)] = OSError("the group is strange")
    (told,) = meter.measure([SPEC], ())
    assert (told.session_id, told.cpu_used_s, told.mem_bytes, told.pids) == ("s", None, None, None)


def test_of_accelerators_only_those_are_told_that_the_kernel_was_given():
    machine, meter, _ = set_up()
    machine.usage[KernelKey("k", 1)] = Usage()
    (told,) = meter.measure([SPEC], (BUSY, OTHER))
    assert told.devices == (
        DeviceUsage(
            device_id="GPU-0",
            slot="cuda.shares",
            utilisation_percent=40,
            memory_used_bytes=300,
            memory_total_bytes=1000,
        ),
    )


def test_kernels_that_take_long_to_measure_are_measured_more_seldom_but_not_too_seldom():
    machine, meter, clock = set_up()
    machine.usage[KernelKey("k", 1)] = Usage(cpu_s=1.0)
    read = machine.read

    def slow(key: KernelKey) -> Usage:
        clock.advance(0.05)
        return read(key)

    meter = KernelMeter(slow, [], clock)
    meter.measure([SPEC], ())
    clock.advance(4.9)
    meter.measure([SPEC], ())
    assert machine.reads == 1
    clock.advance(0.1)
    meter.measure([SPEC], ())
    assert machine.reads == 2
    several = [msgspec.structs.replace(SPEC, kernel_id=f"k{number}") for number in range(1000)]
    machine.usage = {KernelKey(spec.kernel_id, 1): Usage() for spec in several}
    meter.measure(several, ())
    before = machine.reads
    clock.advance(15.0)
    meter.measure(several, ())
    assert machine.reads == before + 1000
