"""Control groups by the kernel's documentation, on a tree of plain files and pipes."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from services.agents.node.cgroups.detect import detect, mounted, open_v2
from services.agents.node.cgroups.driver import Limits, Usage
from services.agents.node.cgroups.files import files_of
from services.agents.node.cgroups.v1 import CgroupV1
from services.agents.node.cgroups.v2 import CgroupV2

LIMITS = Limits(cpu_millis=1500, memory_bytes=2**26, pids=20)
V1_LINE = "30 25 0:26 / {root}/{tree} rw,relatime - cgroup cgroup rw,{options}"
V2_LINE = "31 25 0:27 / {root} rw,relatime - cgroup2 cgroup2 rw,nsdelegate"


def listen(path: Path, *answers: Callable[[], object]) -> threading.Thread:
    """Stand in for the kernel behind a control file: answer each write with an effect."""
    os.mkfifo(path)

    def serve() -> None:
        for answer in answers:
            path.read_text()
            answer()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def v2_base(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    base.mkdir()
    (base / "cgroup.subtree_control").write_text("cpu memory pids\n")
    return base


def test_version_2_limits_are_written_as_the_kernel_reads_them(tmp_path):
    base = v2_base(tmp_path)
    group = base / "k"
    group.mkdir()
    (group / "memory.swap.max").touch()
    driver = CgroupV2(base)
    driver.create("k", LIMITS)
    assert driver.controls == {"cpu", "memory", "pids"}
    assert (group / "cpu.max").read_text() == "150000 100000"
    assert (group / "memory.max").read_text() == str(2**26)
    assert (group / "memory.swap.max").read_text() == "0"
    assert (group / "pids.max").read_text() == "20"
    assert driver.entry_files("k") == (group / "cgroup.procs",)
    assert driver.oom_file("k") == group / "memory.events"


def test_version_2_without_limits_is_unlimited(tmp_path):
    driver = CgroupV2(v2_base(tmp_path))
    driver.create("k", Limits())
    group = tmp_path / "base" / "k"
    assert (group / "cpu.max").read_text() == "max 100000"
    assert (group / "memory.max").read_text() == "max"
    assert (group / "pids.max").read_text() == "max"


def test_version_2_reads_its_accounting(tmp_path):
    base = v2_base(tmp_path)
    group = base / "k"
    group.mkdir()
    (group / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (group / "memory.current").write_text("40960\n")
    (group / "memory.peak").write_text("50000\n")
    (group / "memory.stat").write_text("anon 4096\ninactive_file 36864\nactive_file 1\n")
    (group / "cgroup.procs").write_text("")
    (group / "pids.current").write_text("3\n")
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\n")
    usage = CgroupV2(base).usage("k")
    assert (usage.cpu_s, usage.memory_bytes, usage.pids, usage.oom_kills) == (2.5, 4096, 3, 1)
    assert usage.memory_peak_bytes == 50000
    assert usage.io_read_bytes is None


def test_what_a_kernel_of_a_machine_does_not_count_is_unknown_and_not_zero(tmp_path):
    base = v2_base(tmp_path)
    (base / "k").mkdir()
    (base / "k" / "pids.current").write_text("3\n")
    assert CgroupV2(base).usage("k") == Usage(pids=3)


def test_what_processes_move_is_the_sum_of_what_each_tells(tmp_path):
    for pid, read in ((7, 100), (8, 20)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "io").write_text(
            f"rchar: 9\nwchar: 9\nread_bytes: {read}\nwrite_bytes: 5\ncancelled_write_bytes: 1\n"
        )
    assert files_of((7, 8, 9), tmp_path) == (120, 10)
    assert files_of((), tmp_path) == (None, None)
    assert files_of(tuple(range(65)), tmp_path) == (None, None)


def test_a_group_that_is_gone_is_empty_and_uses_nothing(tmp_path):
    driver = CgroupV2(v2_base(tmp_path))
    assert driver.processes("gone") == ()
    assert driver.usage("gone") == Usage()
    assert driver.kill("gone")
    assert driver.remove("gone")


def test_version_2_kills_a_group_with_one_write(tmp_path):
    base = v2_base(tmp_path)
    group = base / "k"
    group.mkdir()
    events = group / "cgroup.events"
    events.write_text("populated 1\nfrozen 0\n")
    kernel = listen(group / "cgroup.kill", lambda: events.write_text("populated 0\nfrozen 0\n"))
    assert CgroupV2(base).kill("k")
    kernel.join(timeout=10)
    assert not kernel.is_alive()


def test_version_2_of_an_old_kernel_freezes_kills_and_thaws(tmp_path):
    base = v2_base(tmp_path)
    group = base / "k"
    group.mkdir()
    victim = subprocess.Popen(["sleep", "1000"])
    events = group / "cgroup.events"
    events.write_text("populated 1\nfrozen 0\n")
    (group / "cgroup.procs").write_text(f"{victim.pid}\n")
    kernel = listen(
        group / "cgroup.freeze",
        lambda: events.write_text("populated 1\nfrozen 1\n"),
        lambda: events.write_text("populated 0\nfrozen 0\n"),
    )
    assert CgroupV2(base).kill("k")
    kernel.join(timeout=10)
    assert victim.wait(timeout=10) == -signal.SIGKILL


def test_version_2_is_set_up_below_a_root_that_holds_the_controllers(tmp_path, monkeypatch):
    def like_the_kernel(path: Path, value: object) -> None:
        path.write_text(str(value).replace("+", "") + "\n")

    monkeypatch.setattr("services.agents.node.cgroups.detect.write_value", like_the_kernel)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    driver = open_v2(tmp_path, "mine", own=tmp_path)
    assert driver is not None
    assert driver.controls == {"cpu", "memory", "pids"}


def test_a_daemon_in_its_own_group_makes_way_for_handing_controllers_down(tmp_path, monkeypatch):
    own = tmp_path / "service"
    own.mkdir()

    def like_the_kernel(path: Path, value: object) -> None:
        if path == tmp_path / "cgroup.subtree_control":
            raise PermissionError
        if path == own / "cgroup.subtree_control" and not (own / "daemon").is_dir():
            raise OSError(errno.EBUSY, "a process is in the group")
        path.write_text(str(value).replace("+", "") + "\n")

    monkeypatch.setattr("services.agents.node.cgroups.detect.write_value", like_the_kernel)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    driver = open_v2(tmp_path, "mine", own=own)
    assert driver is not None
    assert driver.entry_files("k") == (own / "mine" / "k" / "cgroup.procs",)
    assert (own / "daemon" / "cgroup.procs").read_text() == f"{os.getpid()}\n"


def test_version_2_without_the_controllers_is_not_used(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset io\n")
    assert open_v2(tmp_path, "mine", own=tmp_path) is None


def v1_trees(root: Path, *trees: str) -> Path:
    lines = []
    for tree in trees:
        (root / tree).mkdir(parents=True)
        lines.append(V1_LINE.format(root=root, tree=tree, options=tree))
    mountinfo = root / "mountinfo"
    mountinfo.write_text("\n".join([*lines, "1 1 0:1 / / rw - ext4 /dev/x rw", ""]))
    return mountinfo


def test_version_1_is_found_by_its_mounts(tmp_path):
    mountinfo = v1_trees(tmp_path, "cpu,cpuacct", "memory", "pids", "freezer", "blkio")
    driver, note = detect("mine", mountinfo=mountinfo)
    assert isinstance(driver, CgroupV1)
    assert driver.controls == {"cpu", "memory", "pids"}
    assert "version 1" in note
    driver.create("k", LIMITS)
    both = tmp_path / "cpu,cpuacct" / "mine" / "k"
    assert (both / "cpu.cfs_quota_us").read_text() == "150000"
    assert (both / "cpu.cfs_period_us").read_text() == "100000"
    assert (tmp_path / "memory" / "mine" / "k" / "memory.limit_in_bytes").read_text() == str(2**26)
    assert (tmp_path / "pids" / "mine" / "k" / "pids.max").read_text() == "20"
    assert len(driver.entry_files("k")) == 4
    assert driver.names() == ("k",)


def test_a_host_without_the_memory_tree_enforces_what_it_can(tmp_path):
    driver, _ = detect("mine", mountinfo=v1_trees(tmp_path, "cpu", "pids"))
    assert driver is not None
    assert driver.controls == {"cpu", "pids"}
    assert driver.oom_file("k") is None
    driver.create("k", LIMITS)
    assert driver.usage("k").oom_kills == 0


def test_a_host_without_any_tree_is_said_to_have_none(tmp_path):
    driver, note = detect("mine", mountinfo=v1_trees(tmp_path))
    assert driver is None
    assert "No control group is writable" in note


def test_a_hybrid_host_is_served_by_the_version_that_has_the_controllers(tmp_path):
    mountinfo = v1_trees(tmp_path, "cpu", "memory", "pids")
    unified = tmp_path / "unified"
    unified.mkdir()
    (unified / "cgroup.controllers").write_text("\n")
    with mountinfo.open("a") as file:
        file.write(V2_LINE.format(root=unified) + "\n")
    driver, _ = detect("mine", mountinfo=mountinfo)
    assert isinstance(driver, CgroupV1)


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("30 25 0:26 / /sys/fs/cgroup rw - cgroup2 none rw", "/sys/fs/cgroup"),
        ("30 25 0:26 / /odd\\040place rw shared:9 - cgroup2 none rw", "/odd place"),
    ],
)
def test_mount_points_are_read_as_the_kernel_writes_them(line, point):
    assert mounted([line])[0].point == Path(point)


def test_the_smallest_share_of_a_processor_is_what_the_kernel_takes_at_least(tmp_path):
    driver = CgroupV2(v2_base(tmp_path))
    driver.create("k", Limits(cpu_millis=1))
    assert (tmp_path / "base" / "k" / "cpu.max").read_text() == "1000 100000"
