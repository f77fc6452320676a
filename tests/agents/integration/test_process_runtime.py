"""Real processes: what a kernel sees, what holds it in, what is known of its end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from services.agents.node.cgroups.driver import Limits, Usage
from services.agents.node.process.probe import NO_SUDO
from services.agents.node.runtime import KernelKey
from tests.agents.integration.bench import Bench, job, open_bench

needs_groups = pytest.mark.skipif(
    not os.access("/sys/fs/cgroup", os.W_OK), reason="no control groups to test limits with"
)


def is_boxed(bench: Bench) -> bool:
    return bench.profile is not None and bench.profile.isolation["filesystem"] == "enforced"


async def test_a_command_runs_in_its_work_folder_with_its_environment(bench):
    made = job('pwd; echo "$GREETING"; hostname; echo kept > file; cat file; echo oops >&2')
    exit_ = await bench.run(made)
    assert exit_.code == 0
    log = bench.log(made).splitlines()
    assert log[1:] == ["hello", "main1" if is_boxed(bench) else os.uname().nodename, "kept", "oops"]
    assert (bench.runtime.log_path(made.key).parent / "work" / "file").read_text() == "kept\n"


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("no-such", 127)],
)
async def test_the_exit_code_is_the_shells(bench, command, code):
    assert (await bench.run(job(command))).code == code


async def test_a_sandboxed_kernel_sees_only_its_own_processes_and_cannot_write_elsewhere(bench):
    if not is_boxed(bench):
        pytest.skip("bubblewrap does not work on this machine")
    secret = bench.runtime.log_path(KernelKey("k", 1)).parents[2] / "secret"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("secret")
    made = job(
        "ls -d /proc/[0-9]* | wc -l; id -u; grep -c NoNewPrivs:.1 /proc/self/status;"
        " grep CapEff /proc/self/status; touch /usr/x /etc/x /x; ls /root /home;"
        f" cat {secret}; cd /tmp && touch fine && echo tmp"
    )
    await bench.run(made)
    log = bench.log(made)
    # Its shell, the pipe's two programs and the sandbox's first process, not the machine's.
    assert int(log.split()[0]) <= 6
    assert int(log.split()[1]) not in {0, os.getuid()}
    assert "CapEff:\t0000000000000000" in log
    assert "Read-only file system" in log
    assert "cannot access '/root'" in log
    assert "secret" not in log.replace(str(secret), "")
    assert log.endswith("tmp\n")


async def test_a_kernel_with_sudo_is_root_inside_and_nobody_special_outside(bench):
    if any(NO_SUDO in note for note in bench.profile.notes):
        pytest.skip("this machine lets kernels have no users of their own making")
    made = job(
        "id -u; touch mine; chown 0 mine && echo owned; touch /usr/x; cat /etc/shadow; true",
        sudo=True,
    )
    await bench.run(made)
    log = bench.log(made)
    assert log.startswith("0\nowned\n")
    assert "/etc/shadow: Permission denied" in log
    assert "cannot touch '/usr/x'" in log


async def test_two_kernels_are_two_users(bench):
    if bench.profile.isolation["user"] != "enforced":
        pytest.skip("this machine gives kernels no users of their own")
    first, second = job("id -u", user_index=3), job("id -u", kernel="l", user_index=4)
    await bench.run(first)
    await bench.run(second)
    assert int(bench.log(first)) + 1 == int(bench.log(second))


@needs_groups
async def test_a_memory_hog_is_killed_and_its_end_says_why(bench):
    hog = job(
        "exec python3 -c 'x = bytearray(300 << 20)'", limits=Limits(memory_bytes=2**26, pids=20)
    )
    exit_ = await bench.run(hog)
    assert exit_.code == 137
    assert exit_.oom_kills >= 1


@needs_groups
async def test_a_fork_bomb_is_stopped_by_its_limit_of_processes(bench):
    bomb = job(
        "bomb() { bomb | bomb & }; i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done",
        limits=Limits(memory_bytes=2**27, pids=30),
    )
    exit_ = await bench.run(bomb)
    assert exit_.code != 0
    assert "Cannot fork" in bench.log(bomb) or "fork" in bench.log(bomb)
    assert bench.groups.names() == ()


@needs_groups
async def test_a_busy_loop_gets_no_more_processor_time_than_it_asked_for(bench):
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    loop = job(f"exec python3 -c '{burn}'", limits=Limits(cpu_millis=200, pids=20))
    seen = await bench.launch(loop)
    assert seen.presence == "running"
    assert (await bench.end_of(loop.key)).exit.code == 0
    entry = next(one for one in bench.groups.entry_files("k.1") if "/cpu" in str(one))
    stat = dict(line.split() for line in (entry.parent / "cpu.stat").read_text().splitlines())
    used_s = bench.runtime.usage(loop.key).cpu_s
    assert used_s >= 0.3
    # 0.02 s are allowed in each period of 0.1 s, and slices of some ms to overrun.
    assert used_s <= (int(stat["nr_periods"]) + 2) * 0.025
    await bench.runtime.collect(loop.key)


async def test_what_a_command_leaves_behind_ends_with_it(bench):
    made = job("(sleep 1000 &); setsid sleep 1000 & echo started")
    assert (await bench.run(made)).code == 0
    assert bench.log(made) == "started\n"
    if bench.groups is not None:
        assert bench.groups.names() == ()


async def test_a_log_has_a_bound_and_says_what_it_lost(tmp_path):
    async with open_bench(tmp_path / "kernels", log_limit_bytes=1000) as bench:
        made = job("head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")
        exit_ = await bench.run(made)
        log = bench.log(made)
    assert exit_.code == 0
    assert log.startswith("x" * 1000)
    assert "reached its limit of 1000 bytes" in log
    assert exit_.notes == ("99005 bytes of output are not in the log",)
    assert len(log) < 1300


async def test_sigterm_reaches_the_commands_own_processes(bench):
    made = job("trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 1000 & wait; done")
    await bench.launch(made)
    await bench.log_line(made, "ready")
    await bench.runtime.stop(made.key, force=False)
    seen = await bench.end_of(made.key)
    assert seen.exit.code == 5
    assert bench.log(made) == "ready\nasked\n"


async def test_force_ends_what_ignores_being_asked(bench):
    made = job("trap '' TERM; echo ready; while :; do sleep 1000; done")
    await bench.launch(made)
    await bench.log_line(made, "ready")
    await bench.runtime.stop(made.key, force=False)
    assert (await bench.runtime.inspect(made.key)).presence == "running"
    await bench.runtime.stop(made.key, force=True)
    seen = await bench.end_of(made.key)
    assert seen.exit.code == 137


async def test_a_second_start_of_the_same_attempt_runs_nothing(bench):
    made = job("echo once")
    await bench.run(made)
    await bench.runtime.start(made, 2)
    assert (await bench.runtime.inspect(made.key)).presence == "ended"
    assert bench.log(made) == "once\n"
    assert not await bench.runtime.forbid(made.key)


async def test_a_launch_that_was_replaced_refuses_to_run(bench):
    made = job("echo never")
    await bench.runtime.prepare(made)
    from services.agents.node.process.folder import AttemptFolder
    from services.agents.node.process.launch import make_plan, spawn

    folder = AttemptFolder(bench.runtime.log_path(made.key).parents[2], made.key)
    plan = make_plan(made, 1, folder, bench.runtime._confinement, bench.groups, 1000)
    assert await bench.runtime.forbid(made.key)
    keeper = await asyncio.to_thread(spawn, plan, folder)
    assert await asyncio.to_thread(keeper.wait, 20) == 3
    assert (await bench.runtime.inspect(made.key)).presence == "absent"
    await bench.runtime.collect(made.key)
    folder.remove()


async def test_a_kernel_whose_keeper_is_killed_dies_with_it_and_is_lost(bench):
    made = job("echo ready; sleep 1000")
    await bench.launch(made)
    await bench.log_line(made, "ready")
    keeper = bench.runtime._spawned[made.key]
    os.kill(keeper.pid, signal.SIGKILL)
    seen = await bench.end_of(made.key)
    assert (seen.presence, seen.exit) == ("lost", None)
    await bench.runtime.collect(made.key)
    if bench.groups is not None:
        assert bench.groups.names() == ()


async def test_another_runtime_on_the_same_folder_finds_what_runs(bench, tmp_path):
    made = job("echo ready; sleep 1000")
    await bench.launch(made)
    await bench.log_line(made, "ready")
    async with open_bench(tmp_path / "kernels", grouped=False) as other:
        seen = await other.runtime.inspect(made.key)
        assert seen.presence == "running"
        assert seen.started_at is not None
        await bench.runtime.stop(made.key, force=True)
        ended = await other.end_of(made.key)
        assert ended.presence == "ended"


async def test_without_sandbox_and_groups_a_kernel_runs_and_the_profile_says_so(tmp_path):
    async with open_bench(tmp_path / "kernels", grouped=False, sandbox=False) as bench:
        isolation = bench.profile.isolation
        assert isolation["cpu"] == "not_enforced"
        assert isolation["memory"] == "best_effort"
        assert isolation["filesystem"] == "not_enforced"
        assert any("switched off" in note for note in bench.profile.notes)
        assert any("Processor time is not limited" in note for note in bench.profile.notes)
        assert any("machine's own network" in note for note in bench.profile.notes)
        made = job("id -u; (sleep 1000 &); setsid sleep 1000 & exit 3")
        assert (await bench.run(made)).code == 3
        if os.geteuid() == 0:
            assert int(bench.log(made)) != 0
        hog = job(
            "exec python3 -c 'x = bytearray(300 << 20)'",
            kernel="hog",
            limits=Limits(memory_bytes=2**26),
        )
        assert (await bench.run(hog)).code == 1
        assert "MemoryError" in bench.log(hog)


async def test_without_groups_being_asked_and_force_reach_every_process(tmp_path):
    async with open_bench(tmp_path / "kernels", grouped=False) as bench:
        asked = job("trap 'exit 6' TERM; echo ready; sleep 1000 & wait")
        await bench.launch(asked)
        await bench.log_line(asked, "ready")
        await bench.runtime.stop(asked.key, force=False)
        assert (await bench.end_of(asked.key)).exit.code == 6
        forced = job("trap '' TERM; echo ready; while :; do sleep 1000; done", kernel="l")
        await bench.launch(forced)
        await bench.log_line(forced, "ready")
        await bench.runtime.stop(forced.key, force=True)
        assert (await bench.end_of(forced.key)).exit.code == 137


async def test_no_secret_of_the_environment_is_on_the_disk(bench):
    made = job("true", environ={"TOKEN": "tell-nobody-77"})
    await bench.run(made)
    folder = bench.runtime.log_path(made.key).parent
    files = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    assert files
    assert not [path for path in files if b"tell-nobody-77" in path.read_bytes()]


# the machine rounds processor time down to hundredths of a second, so more is burnt than asked for
HOLD = (
    "x = b'x' * 60_000_000\nimport time\nwhile time.process_time() < 0.25: pass\n"
    "f = open('f', 'wb'); f.write(x[:3_000_000]); f.flush(); import os; os.fsync(f.fileno())\n"
    "print('held', flush=True); time.sleep(1000)"
)


@needs_groups
async def test_what_a_kernel_uses_is_read_from_its_group(bench):
    made = job(f'exec python3 -c "{HOLD}"')
    await bench.launch(made)
    await bench.log_line(made, "held")
    usage = bench.runtime.usage(made.key)
    assert 0.2 <= usage.cpu_s < 30
    assert 60_000_000 <= usage.memory_bytes < 200_000_000
    assert usage.memory_peak_bytes >= usage.memory_bytes
    assert 1 <= usage.pids < 10
    assert usage.io_written_bytes is None or usage.io_written_bytes >= 3_000_000


async def test_without_groups_what_a_kernel_uses_is_read_from_its_processes(tmp_path):
    async with open_bench(tmp_path / "kernels", grouped=False) as bench:
        made = job(f'sh -c "exit 0"; python3 -c "{HOLD}"')
        await bench.launch(made)
        await bench.log_line(made, "held")
        usage = bench.runtime.usage(made.key)
        assert 0.2 <= usage.cpu_s < 30
        assert 60_000_000 <= usage.memory_bytes < 200_000_000
        assert usage.memory_peak_bytes is None
        assert 2 <= usage.pids < 10
        assert bench.runtime.usage(KernelKey("never", 1)) == Usage()
