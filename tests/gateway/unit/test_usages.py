"""What sessions use, from heartbeats: kept for a while, bounded, and told beside what was given."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec

from services.gateway.reads.session_stats import session_stats
from services.gateway.telemetry import usages
from services.gateway.telemetry.usages import SessionUsages
from shared.contracts.agents import Heartbeat
from shared.contracts.kernels import DeviceUsage, KernelUsage
from shared.testing.clock import FakeClock
from tests.gateway.integration.harness import LOAD, PROFILE

START = datetime(2026, 1, 1, tzinfo=UTC)
GPU = DeviceUsage(
    device_id="GPU-0",
    slot="cuda.shares",
    utilisation_percent=40.0,
    memory_used_bytes=300,
    memory_total_bytes=1000,
)


def usage(kernel, second=0, session="s", **figures):
    at = START + timedelta(seconds=second)
    return KernelUsage(session_id=session, kernel_id=kernel, at=at, **figures)


def beat(*told, agent="a1", **more):
    return Heartbeat(
        agent_id=agent,
        incarnation="i",
        sequence=1,
        at=START,
        profile=PROFILE,
        load=LOAD,
        kernels=(),
        usage=told,
        **more,
    )


def kernel(key, agent="a1", **more):
    about = {"id": key, "hostname": key, "agent_id": agent, "devices": {}}
    return about | {"requested": {"cpu": "2", "mem": "1000"}} | more


def session(*kernels, status="RUNNING"):
    agents = sorted({one["agent_id"] for one in kernels})
    return {"id": "s", "status": status, "kernels": list(kernels), "agents": agents}


def shown(found, document):
    return session_stats(document, found.latest("s"), found.history("s"))


def test_all_kernels_are_added_up_beside_what_they_were_given():
    found = SessionUsages(FakeClock())
    first = usage("k1", cpu_percent=150.0, cpu_used_s=9.0, mem_bytes=600, mem_peak_bytes=700)
    second = usage("k2", 1, cpu_percent=50.0, mem_bytes=200, pids=3, devices=(GPU,))
    assert found.record(beat(first)) == ["s"]
    found.record(beat(second, agent="a2"))
    given = {"cuda.shares": {"GPU-0": "0.5"}}
    stats = shown(found, session(kernel("k1"), kernel("k2", "a2", devices=given)))
    assert msgspec.to_builtins(stats.cpu) == {
        "used": 2.0,
        "allotted": 4.0,
        "percent": 50.0,
        "used_s": 9.0,
    }
    assert (stats.mem.used, stats.mem.allotted, stats.mem.percent) == (800, 2000, 40.0)
    assert (stats.mem.peak, stats.pids, stats.io.read) == (700, 3, None)
    (device,) = stats.devices
    assert (device.id, device.allotted, device.utilisation) == ("GPU-0", "0.5", 40.0)
    assert [one.cpu.percent for one in stats.kernels] == [75.0, 25.0]
    assert stats.at == START + timedelta(seconds=1)
    assert stats.why is None


def test_what_cannot_be_measured_is_null_and_not_zero():
    found = SessionUsages(FakeClock())
    found.record(beat(usage("k1")))
    stats = shown(found, session(kernel("k1")))
    assert (stats.cpu.used, stats.cpu.percent, stats.mem.used, stats.pids) == (None,) * 4
    assert stats.cpu.allotted == 2.0


def test_an_agent_is_believed_of_its_own_kernels_only():
    found = SessionUsages(FakeClock())
    found.record(beat(usage("k1", mem_bytes=1), agent="elsewhere"))
    assert shown(found, session(kernel("k1"))).why.code == "not_measured"


def test_without_figures_the_answer_says_why():
    found = SessionUsages(FakeClock())
    codes = {
        status: shown(found, session(kernel("k1"), status=status)).why.code
        for status in ("PENDING", "RUNNING", "TERMINATED")
    }
    assert codes == {"PENDING": "not_running", "RUNNING": "not_measured", "TERMINATED": "over"}
    found.record(beat(usage("k1")))
    assert shown(found, session(kernel("k1"), status="ERROR")).cpu is None


def test_figures_that_are_too_old_say_nothing_any_more():
    clock = FakeClock()
    found = SessionUsages(clock)
    found.record(beat(usage("k1")))
    clock.advance(usages.STALE_S)
    assert len(found.latest("s")) == 1
    clock.advance(1)
    assert found.latest("s") == []


def test_what_is_repeated_is_nothing_new_and_does_not_keep_figures_young():
    clock = FakeClock()
    found = SessionUsages(clock)
    same = beat(usage("k1", mem_bytes=1))
    found.record(same)
    clock.advance(usages.STALE_S + 1)
    assert found.record(same) == []
    assert found.latest("s") == []
    assert found.record(beat(usage("k1", 1))) == ["s"]


def test_a_kernel_that_its_agent_tells_no_more_is_forgotten():
    found = SessionUsages(FakeClock())
    found.record(beat(usage("k1"), usage("k2")))
    found.record(beat(usage("k2", 1)))
    assert [one.usage.kernel_id for one in found.latest("s")] == ["k2"]
    found.record(beat(goodbye="stopped"))
    assert found.latest("s") == []


def test_a_kernel_that_runs_elsewhere_by_now_is_not_forgotten_with_its_old_place():
    found = SessionUsages(FakeClock())
    found.record(beat(usage("k1")))
    found.record(beat(usage("k1", 1), agent="a2"))
    found.record(beat())
    assert [one.agent_id for one in found.latest("s")] == ["a2"]


def test_the_history_has_a_point_every_few_seconds_and_an_end():
    clock = FakeClock()
    found = SessionUsages(clock)
    for second in range(0, 1000, 3):
        found.record(beat(usage("k1", second, cpu_percent=float(second), mem_bytes=second)))
        clock.advance(3)
    points = found.history("s")
    assert len(points) == usages.POINTS_MAX
    steps = [(later.at - point.at).seconds for point, later in pairwise(points)]
    assert set(steps) == {6}
    assert points[-1].cpu_used == points[-1].mem_used / 100


def test_many_sessions_share_a_bound_and_silent_ones_are_forgotten(monkeypatch):
    monkeypatch.setattr(usages, "ALL_POINTS_MAX", 20)
    monkeypatch.setattr(usages, "SESSIONS_MAX", 10)
    clock = FakeClock()
    found = SessionUsages(clock)
    for second in range(0, 100, 10):
        found.record(beat(*(usage("k", second, session=f"s{one}") for one in range(12))))
        clock.advance(10)
    kept = [len(found.history(f"s{one}")) for one in range(12)]
    assert kept == [2] * 10 + [0, 0]
    clock.advance(usages.FORGOTTEN_AFTER_S + 1)
    found.record(beat(usage("k", session="other"), agent="a2"))
    found.record(beat(usage("k", 1, session="late"), agent="a2"))
    assert len(found.history("s1")) == 0
    assert len(found.history("late")) == 1
