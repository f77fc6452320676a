"""A child's output is kept, its end is seen, and it never outlives us."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.child import Child, ChildError, Program
from deploy.embedded.logfile import LogFile
from shared.testing.installation import eventually

ROOT = Path(__file__).parents[2]


def shell(script: str) -> Program:
    return Program(name="part", argv=["/bin/sh", "-c", script])


async def test_a_watched_line_is_seen_and_all_lines_reach_the_output(tmp_path: Path):
    output = LogFile(tmp_path / "part.log")
    child = Child(shell("echo first; echo ready now; echo last >&2"), output)
    ready = child.watch(b"ready")
    child.start()
    assert await child.until(ready, 10) == b"ready now\n"
    assert await child.wait() == 0
    assert (tmp_path / "part.log").read_text() == "first\nready now\nlast\n"


async def test_a_program_that_ends_before_it_is_ready_is_reported_with_its_last_lines():
    child = Child(shell("echo the disk is full; exit 7"))
    ready = child.watch(b"ready")
    child.start()
    with pytest.raises(ChildError, match=r"exit status 7[^$]*the disk is full"):
        await child.until(ready, 10)


async def test_an_endless_line_is_cut_and_the_next_one_is_read():
    child = Child(shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after"))
    after = child.watch(b"^after")
    child.start()
    assert await child.until(after, 20) == b"after\n"
    await child.stop()


async def test_a_program_that_ignores_the_request_to_stop_is_killed():
    child = Child(shell("trap '' TERM; echo up; while :; do sleep 1; done"))
    up = child.watch(b"up")
    child.start()
    await child.until(up, 10)
    assert await child.stop(timeout_s=0.2) == -signal.SIGKILL


async def test_a_child_hears_no_ctrl_c_and_its_priority_counts_against_other_children():
    child = Child(shell("exec sleep 60"))
    child.start()
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert os.getsid(child.pid) == os.getsid(0)
    await child.stop()


def test_a_child_dies_with_a_parent_that_is_killed():
    script = """
import asyncio
from deploy.embedded.child import Child, Program
async def main():
    child = Child(Program(name="sleeper", argv=["/bin/sleep", "1000"]))
    child.start()
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    parent.kill()
    parent.wait()
    eventually("the child is gone", lambda: not _lives(pid), 10)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_log_never_grows_beyond_its_three_parts(tmp_path: Path):
    log = LogFile(tmp_path / "part.log", limit_bytes=100)
    for number in range(100):
        log.write(b"line %06d\n" % number)
    log.close()
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert parts == ["part.log", "part.log.1", "part.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    lines = "".join((tmp_path / name).read_text() for name in reversed(parts)).split("\n")
    assert lines[-2] == "line 000099"
    assert lines == [*(f"line {n:06}" for n in range(100 - len(lines) + 1, 100)), ""]


def test_lines_that_a_full_disk_refuses_are_counted_and_nothing_fails(tmp_path: Path):
    directory = tmp_path / "log"
    log = LogFile(directory / "part.log")
    log.write(b"lost\n")
    log.write(b"lost too\n")
    directory.mkdir()
    log.write(b"kept\n")
    kept = (directory / "part.log").read_text()
    assert kept == "(2 lines were lost: the disk was full)\nkept\n"


def test_a_log_is_continued_after_a_restart(tmp_path: Path):
    for word in (b"before\n", b"after\n"):
        log = LogFile(tmp_path / "part.log")
        log.write(word)
        log.close()
    assert (tmp_path / "part.log").read_text() == "before\nafter\n"
