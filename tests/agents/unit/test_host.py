"""What a machine offers when a container or a service manager has put limits on the daemon."""

from pathlib import Path

from services.agents.node.devices.host import HostDevices, own_cpu_limit, own_memory_limit


def own(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "own"
    path.write_text("\n".join([*lines, ""]))
    return path


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_version_2_limits_count_at_every_level(tmp_path):
    groups = tmp_path / "groups"
    put(groups / "a" / "b", memory__max="max", cpu__max="max 100000")
    put(groups / "a", memory__max="4096", cpu__max="150000 100000")
    me = own(tmp_path, "0::/a/b")
    assert own_memory_limit(groups, me) == 4096
    assert own_cpu_limit(groups, me) == 1500


def test_version_1_limits_count_at_every_level(tmp_path):
    groups = tmp_path / "groups"
    put(groups / "memory" / "a", memory__limit_in_bytes="8192")
    put(groups / "memory", memory__limit_in_bytes=str(2**63 - 4096))
    put(groups / "cpu" / "a", cpu__cfs_quota_us="50000", cpu__cfs_period_us="100000")
    put(groups / "cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    me = own(tmp_path, "4:memory:/a", "1:cpu,cpuacct:/a", "0::/")
    assert own_memory_limit(groups, me) == 8192
    assert own_cpu_limit(groups, me) == 500


def test_a_machine_without_limits_has_none(tmp_path):
    me = own(tmp_path, "0::/")
    assert own_memory_limit(tmp_path, me) is None
    assert own_cpu_limit(tmp_path, me) is None


def test_this_machine_keeps_some_of_its_memory_for_itself(tmp_path):
    host = HostDevices(tmp_path)
    load = host.load(())
    assert 0 < host.slots()["mem"] < load.mem_total_bytes
    assert host.slots()["cpu"] >= 100
    assert load.net_received_bytes_s >= 0
    assert load.disk_used_bytes <= load.disk_total_bytes
