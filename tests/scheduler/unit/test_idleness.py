"""When sessions count as idle: the window against its slow twin, the rules one by one."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler.domain import idleness
from services.scheduler.domain.idleness import IdleRules
from services.scheduler.domain.usage_window import BUCKETS, UsageWindow
from services.scheduler.idle_watch import STREAM_HOLDS_S, IdleWatch
from services.scheduler.policies_view import PoliciesView
from shared.contracts.kernels import DeviceUsage, KernelUsage
from shared.contracts.policies import SETTINGS, SettingChanged
from tests.scheduler.unit.sessions import START, running

NAMES = st.sampled_from(["cpu", "mem", "gpu", "gpu_mem"])
SHARES = st.dictionaries(NAMES, st.integers(0, 20_000), max_size=4)
KERNELS = st.sampled_from(["k1", "k2"])
STEPS = st.lists(st.tuples(KERNELS, st.integers(0, 70_000), SHARES), max_size=80)


class Twin:
    """All samples ever, looked at anew each time."""

    def __init__(self, window_s) -> None:
        self.window_s = window_s
        self.width = window_s * 1000 // BUCKETS
        self.samples = []

    def means(self, at):
        kept = [
            (name, share)
            for _, when, shares in self.samples
            if at // self.width - when // self.width < BUCKETS
            for name, share in shares.items()
        ]
        return {
            name: sum(share for key, share in kept if key == name)
            // sum(key == name for key, _ in kept)
            for name in {name for name, _ in kept}
        }

    def full_at(self, kernels, now):
        gap = max(2 * self.width, 60_000)
        begins = []
        for kernel in kernels:
            times = [when for key, when, _ in self.samples if key == kernel]
            if not times or now - times[-1] > gap:
                return None
            begin = times[-1]
            for earlier, later in reversed(list(pairwise(times))):
                if later - earlier > gap:
                    break
                begin = earlier
            begins.append(begin)
        return max(begins) + self.window_s * 1000


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([1, 60, 600, 3600]), STEPS, st.integers(0, 5_000_000))
def test_a_window_says_what_looking_at_all_samples_says(window_s, steps, later):
    window, twin, now = UsageWindow(window_s), Twin(window_s), 1_000_000
    for kernel, wait, shares in steps:
        now += wait
        if window.add(kernel, now, len(twin.samples), shares):
            twin.samples.append((kernel, now, shares))
        assert window.means(now) == twin.means(now)
        assert window.full_at(["k1", "k2"], now) == twin.full_at(["k1", "k2"], now)
    assert window.means(now + later) == twin.means(now + later)
    assert window.full_at(["k1"], now + later) == twin.full_at(["k1"], now + later)
    assert window.latest_ms == max((when for _, when, _ in twin.samples), default=0)


def test_what_a_node_says_twice_counts_once():
    window = UsageWindow(60)
    assert window.add("k1", 1000, 5, {"cpu": 100})
    assert not window.add("k1", 2000, 5, {"cpu": 900})
    assert window.means(2000) == {"cpu": 100}


@settings(max_examples=100, deadline=None)
@given(STEPS, st.sampled_from([600, 1200, 1800, 7200]))
def test_a_longer_or_shorter_window_goes_on_with_the_same_samples(steps, window_s):
    window, twin, now = UsageWindow(1200), Twin(1200), 10_000_000
    for kernel, wait, shares in steps:
        now += wait
        window.add(kernel, now, now, shares)
        twin.samples.append((kernel, now, shares))
    other = window.resized(window_s)
    assert other.window_s == window_s
    assert other.latest_ms == window.latest_ms
    if window.full_at(["k1"], now) and other.full_at(["k1"], now):
        moved = other.full_at(["k1"], now) - window.full_at(["k1"], now)
        assert moved == (window_s - 1200) * 1000
    if window_s >= 1200:
        assert set(twin.means(now)) == set(other.means(now))
    for name, mean in other.means(now).items():
        said = [shares[name] for _, _, shares in twin.samples if name in shares]
        assert min(said) <= mean <= max(said)


def usage(kernel="s1.0", cpu=None, mem=None, devices=(), seconds=0.0):
    return KernelUsage(
        session_id="s1",
        kernel_id=kernel,
        at=START + timedelta(seconds=seconds),
        cpu_percent=cpu,
        mem_bytes=mem,
        devices=devices,
    )


def device(load=None, used=None, total=None):
    return DeviceUsage(
        device_id="0",
        slot="cuda.shares",
        utilisation_percent=load,
        memory_used_bytes=used,
        memory_total_bytes=total,
    )


def test_use_is_told_in_parts_of_what_was_given():
    given_slots = {"cpu": 2000, "mem": 1000}
    devices = (device(load=10, used=1, total=4), device(load=30, used=1, total=4), device())
    found = idleness.shares_of(given_slots, usage(cpu=50, mem=250, devices=devices))
    assert found == {"cpu": 2500, "mem": 2500, "gpu": 2000, "gpu_mem": 2500}


def test_what_was_not_given_or_not_measured_is_left_out():
    assert idleness.shares_of({}, usage(cpu=50, mem=250)) == {}
    assert idleness.shares_of({"cpu": 1000, "mem": 1}, usage(devices=(device(),))) == {}


@pytest.mark.parametrize(
    ("operator", "means", "is_idle"),
    [
        ("and", {"cpu": 499, "gpu": 999}, True),
        ("and", {"cpu": 500, "gpu": 999}, False),
        ("or", {"cpu": 500, "gpu": 999}, True),
        ("or", {"cpu": 500, "gpu": 1000}, False),
        ("and", {"cpu": 499}, True),
        ("or", {"gpu": 1000}, False),
        ("and", {"mem": 0}, False),
        ("or", {}, False),
        ("and", {}, False),
    ],
)
def test_and_needs_all_below_and_or_any_of_what_can_be_measured(operator, means, is_idle):
    rules = IdleRules(operator=operator, thresholds={"cpu": 5, "gpu": 10})
    assert idleness.is_below(rules, means) is is_idle


def test_nothing_is_idle_below_zero_percent():
    assert not idleness.is_below(IdleRules(thresholds={"cpu": 0}), {"cpu": 0})


def test_the_policy_goes_before_the_settings_and_zero_is_never():
    rules = IdleRules(network_timeout_s=600, window_s=100, thresholds={"cpu": 1})
    session = running(session_type="interactive").state
    for limit, usual in ((idleness.network_limit_s, 600), (idleness.window_limit_s, 100)):
        assert limit(rules, session, None) == usual
        assert limit(rules, session, 30) == 30
        assert limit(rules, session, 0) is None
        off = IdleRules(thresholds={"cpu": 1})
        assert limit(off, session, 30) is None
    assert idleness.window_limit_s(rules._replace(thresholds={}), session, 30) is None
    assert idleness.network_limit_s(rules._replace(network_timeout_s=0), session, None) is None


def test_services_are_never_idle_and_nobody_sits_before_a_batch_job():
    rules = IdleRules(network_timeout_s=600, window_s=100, thresholds={"cpu": 1})
    kinds = {kind: running(session_type=kind).state for kind in ("batch", "inference")}
    assert idleness.network_limit_s(rules, kinds["batch"], 30) is None
    assert idleness.window_limit_s(rules, kinds["batch"], 30) == 30
    assert idleness.network_limit_s(rules, kinds["inference"], 30) is None
    assert idleness.window_limit_s(rules, kinds["inference"], 30) is None


def test_the_settings_are_off_by_default_and_read_as_they_are():
    view = PoliciesView()
    assert view.idle_rules == IdleRules()
    for name, value in (
        ("network_timeout_enabled", True),
        ("network_timeout", 60),
        ("utilization_enabled", True),
        ("utilization_window", 120),
        ("utilization_grace", 10),
        ("utilization_operator", "or"),
        ("utilization_gpu_mem", 3),
    ):
        assert f"idle.{name}" in SETTINGS
        view.apply(SettingChanged(setting=f"idle.{name}", value=value))
    assert view.idle_rules == IdleRules(60, 120, 10, "or", {"gpu_mem": 3})


def test_a_new_leader_takes_everybody_for_used_when_it_began():
    watch, session = IdleWatch(), running(session_type="interactive").state
    watch.set_rules(IdleRules(network_timeout_s=100))
    began = START + timedelta(days=1)
    watch.begin(began)
    assert watch.ending(session, START, began).at == began + timedelta(seconds=100)
    started = began + timedelta(days=1)
    assert watch.ending(session, started, started).at == started + timedelta(seconds=100)


def test_an_open_stream_holds_a_session_until_it_would_have_been_told_of_again():
    watch, session = IdleWatch(), running(session_type="interactive").state
    watch.set_rules(IdleRules(network_timeout_s=100))
    now = START + timedelta(seconds=50)
    watch.used(session, now, open_streams=0)
    assert watch.ending(session, START, now).at == now + timedelta(seconds=100)
    watch.used(session, now, open_streams=2)
    watch.used(session, now, open_streams=0)
    held = timedelta(seconds=STREAM_HOLDS_S + 100)
    assert watch.ending(session, START, now).at == now + held


def test_use_in_an_earlier_attempt_says_nothing_of_this_one():
    watch, life = IdleWatch(), running(session_type="interactive")
    watch.set_rules(IdleRules(network_timeout_s=100))
    later = START + timedelta(seconds=500)
    watch.used(life.state, later, open_streams=0)
    again = life.state.__class__(
        request=life.state.request, kernels=life.state.kernels, status="RUNNING", attempt=2
    )
    assert watch.ending(again, START, later).at == START + timedelta(seconds=100)
