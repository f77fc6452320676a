"""kill -9 of the daemon at every turn: what runs goes on, what ran is known, nothing runs twice."""

import asyncio

import pytest

from services.agents.node.inotify import FolderChanges
from tests.agents.integration.site import DEADLINE_S, Site

# Each number is how many writes of the journal a daemon lives to see.
LIVES = (1, 3, 5, 7, 9, 11, 13, 15, 18, 21, 25, 30)


async def kill_after(site: Site, writes: int) -> None:
    """Kill the daemon in the middle of its work: right after a number of journal writes."""
    changes = FolderChanges()
    try:
        with changes.watch(site.folder / "data") as changed:
            async with asyncio.timeout(DEADLINE_S):
                for _ in range(writes):
                    await changed.wait()
                    changed.clear()
            await site.end()
    finally:
        changes.close()


@pytest.mark.timeout(300)
async def test_whenever_the_daemon_is_killed_each_command_runs_exactly_once(site):
    (site.folder / "data").mkdir()
    specs = []
    for life, writes in enumerate(LIVES):
        new = [
            site.spec("echo ran >> ran; exit 3"),
            site.spec(f"echo ran >> ran; sleep 0.{life % 10}; exit 4"),
        ]
        specs += new
        await site.want(*new)
        await site.start()
        await kill_after(site, writes)
    await site.start()
    for number, spec in enumerate(specs):
        end = await site.until_ended(spec.kernel_id)
        told = site.reports[spec.kernel_id, 1]
        assert end.exit_code == 3 + number % 2, (end, site.output()[-2000:])
        assert [told[one].phase for one in sorted(told)] == ["preparing", "running", "terminated"]
        work = site.folder / "data" / "kernels" / spec.kernel_id / "1" / "work"
        assert (work / "ran").read_text() == "ran\n"
    await site.until_known(**dict.fromkeys((one.kernel_id for one in specs), "terminated"))
    assert site.groups_left() == ()
    assert len({beat.incarnation for beat in site.beats}) == 1


async def test_a_killed_daemons_kernel_goes_on_and_its_successor_waits_for_it(site):
    await site.start()
    spec = site.spec("echo ready; trap 'exit 9' USR1; while :; do sleep 1000 & wait; done")
    await site.want(spec)
    await site.until_phase(spec.kernel_id, "running")
    assert (await site.log(spec.kernel_id, wait_s=10)).data == b"ready\n"
    await site.restart()
    await site.until_known(**{spec.kernel_id: "running"})
    assert sorted(site.reports[spec.kernel_id, 1]) == [1, 2]
    await site.stop_kernel(spec, grace_s=30)
    end = await site.until_ended(spec.kernel_id)
    assert (end.exit_code, end.reason) == (143, "user-requested")


async def test_an_end_that_no_daemon_saw_is_found_out(site):
    await site.start()
    spec = site.spec("echo ready; while [ ! -e go ]; do sleep 0.05; done; exit 8")
    await site.want(spec)
    await site.until_phase(spec.kernel_id, "running")
    await site.end()
    attempt = site.folder / "data" / "kernels" / spec.kernel_id / "1"
    changes = FolderChanges()
    try:
        with changes.watch(attempt) as changed:
            (attempt / "work" / "go").touch()
            async with asyncio.timeout(DEADLINE_S):
                while not (attempt / "exit.json").exists():
                    await changed.wait()
                    changed.clear()
    finally:
        changes.close()
    await site.start()
    end = await site.until_ended(spec.kernel_id)
    assert (end.exit_code, end.reason) == (8, "task-failed")


async def test_a_stop_that_was_wished_while_no_daemon_lived_is_carried_out(site):
    await site.start()
    spec = site.spec("trap '' TERM; echo ready; while :; do sleep 1000; done")
    await site.want(spec)
    assert await site.until_phase(spec.kernel_id, "running")
    await site.end()
    await site.stop_kernel(spec, grace_s=1)
    await site.start()
    end = await site.until_ended(spec.kernel_id)
    assert (end.exit_code, end.reason) == (137, "user-requested")


async def test_a_daemon_that_dies_within_the_grace_has_a_successor_that_ends_it(site):
    await site.start()
    spec = site.spec("trap 'echo asked' TERM; echo ready; while :; do sleep 1000 & wait; done")
    await site.want(spec)
    assert await site.until_phase(spec.kernel_id, "running")
    assert (await site.log(spec.kernel_id, wait_s=10)).data == b"ready\n"
    await site.stop_kernel(spec, grace_s=3)
    assert (await site.log(spec.kernel_id, 6, wait_s=10)).data.startswith(b"asked\n")
    await site.restart()
    end = await site.until_ended(spec.kernel_id)
    assert (end.exit_code, end.reason) == (137, "user-requested")


async def test_a_new_data_folder_is_a_new_incarnation_that_inherits_nothing(site):
    await site.start()
    spec = site.spec("sleep 1000")
    await site.want(spec)
    await site.until_phase(spec.kernel_id, "running")
    await site.stop_kernel(spec, forced=True)
    await site.until_ended(spec.kernel_id)
    first = site.beats[-1].incarnation
    await site.end()
    (site.folder / "data").rename(site.folder / "old")
    await site.want(site.spec("echo no", kernel_id=spec.kernel_id, incarnation=first, attempt=2))
    await site.start()
    await site.until(lambda: site.beats[-1].incarnation != first)
    beat = await site.until_next_beat()
    assert beat.kernels == ()
