"""The daemon over real NATS: wishes in, facts, heartbeats and logs out."""

import asyncio
import os
import signal

import msgspec

from shared.kernel.rejections import Rejection, unavailable
from tests.agents.integration.site import AGENT, open_site


async def test_a_batch_kernel_runs_to_its_end_and_everything_is_told(node):
    spec = node.spec('echo "$TOKEN $QM_SESSION_NAME $QM_KERNEL_ID"; exit 3', environ={"TOKEN": "t"})
    await node.want(spec)
    end = await node.until_ended(spec.kernel_id)
    assert (end.phase, end.exit_code, end.reason) == ("terminated", 3, "task-failed")
    told = node.reports[spec.kernel_id, 1]
    assert [told[number].phase for number in sorted(told)] == ["preparing", "running", "terminated"]
    piece = await node.log(spec.kernel_id)
    assert piece.data.decode() == f"t work {spec.kernel_id}\n"
    assert piece.ended
    assert "TOKEN" not in node.output()


async def test_the_profile_says_what_the_machine_gives_and_holds(node):
    beat = (await node.until(lambda: node.beats))[0]
    assert beat.agent_id == AGENT
    assert beat.profile.runtime == "process"
    assert beat.profile.images == ("local/host:latest",)
    assert beat.profile.available_slots["cpu"] == len(os.sched_getaffinity(0)) * 1000
    assert 0 < beat.profile.available_slots["mem"] < beat.load.mem_total_bytes
    assert set(beat.profile.isolation) == {
        "cpu",
        "memory",
        "pids",
        "filesystem",
        "user",
        "network",
    }
    assert beat.profile.isolation["network"] == "not_enforced"
    assert beat.profile.devices == ()
    assert node.output().count("no_nvidia_devices") == 1


async def test_an_interactive_kernel_stays_until_it_is_asked_to_end(node):
    spec = node.spec(None, session_type="interactive")
    await node.want(spec)
    await node.until_phase(spec.kernel_id, "running")
    await node.until_seen(spec.kernel_id, "running")
    await node.stop_kernel(spec, grace_s=30)
    end = await node.until_ended(spec.kernel_id)
    assert (end.reason, end.exit_code) == ("user-requested", 143)


async def test_a_heartbeat_tells_what_each_running_kernel_uses_until_it_has_ended(node):
    def told(kernel_id):
        found = [one for one in node.beats[-1].usage if one.kernel_id == kernel_id]
        return found[0] if found else None

    busy = node.spec("while :; do :; done")
    await node.want(busy)
    usage = await node.until(lambda: (one := told(busy.kernel_id)) and one.cpu_percent and one)
    assert usage.session_id == "s-1"
    assert 1 < usage.cpu_percent < 120
    assert usage.mem_bytes > 0
    assert usage.pids >= 1
    await node.stop_kernel(busy, forced=True)
    await node.until_ended(busy.kernel_id)
    await node.until(lambda: told(busy.kernel_id) is None)


async def test_what_ignores_being_asked_is_killed_when_its_grace_is_over(node):
    spec = node.spec("trap '' TERM; echo ready; while :; do sleep 1000; done")
    await node.want(spec)
    await node.until_phase(spec.kernel_id, "running")
    assert (await node.log(spec.kernel_id, wait_s=10)).data == b"ready\n"
    await node.stop_kernel(spec, grace_s=1)
    end = await node.until_ended(spec.kernel_id)
    assert (end.reason, end.exit_code) == ("user-requested", 137)


async def test_a_forced_stop_gives_no_grace(node):
    spec = node.spec("trap 'echo asked' TERM; echo ready; while :; do sleep 1000; done")
    await node.want(spec)
    assert (await node.until_phase(spec.kernel_id, "running")).exit_code is None
    assert (await node.log(spec.kernel_id, wait_s=10)).data == b"ready\n"
    await node.stop_kernel(spec, grace_s=1000, forced=True)
    end = await node.until_ended(spec.kernel_id)
    assert (end.reason, end.exit_code) == ("force-terminated", 137)
    assert b"asked" not in (await node.log(spec.kernel_id)).data


async def test_a_kernel_that_is_to_be_gone_before_it_came_never_runs(site):
    spec = site.spec("echo ran")
    await site.stop_kernel(spec)
    await site.desired.mark_complete()
    await site.start()
    end = await site.until_ended(spec.kernel_id)
    assert (end.phase, end.exit_code, end.reason) == ("terminated", None, "user-requested")


async def test_what_cannot_start_fails_with_a_reason(node):
    no_command = node.spec(None)
    wrong_key = node.spec("true", environ={"A": "b"}, kernel_id="k-1")
    wrong_key = msgspec.structs.replace(wrong_key, kernel_id="k-2")
    await node.want(no_command, wrong_key)
    for spec, why in ((no_command, "command"), (wrong_key, "environ")):
        end = await node.until_ended(spec.kernel_id)
        assert (end.phase, end.reason, end.exit_code) == ("failed", "failed-to-start", None)
        assert why in end.detail


async def test_a_memory_hog_is_reported_out_of_memory(node):
    first = (await node.until(lambda: node.beats))[0]
    if first.profile.isolation["memory"] != "enforced":
        return
    spec = node.spec("exec python3 -c 'x = bytearray(400 << 20)'")
    await node.want(spec)
    end = await node.until_ended(spec.kernel_id)
    assert (end.reason, end.exit_code) == ("out-of-memory", 137)
    assert str(2**27) in end.detail


async def test_a_kernel_whose_name_is_a_path_is_not_touched(node):
    odd, fine = node.spec("true", kernel_id="../../odd"), node.spec("true")
    await node.want(odd, fine)
    await node.until_ended(fine.kernel_id)
    assert node.last("../../odd") is None
    assert "kernel_id_refused" in node.output()


async def test_a_kernel_that_the_bucket_lost_runs_on_until_the_scheduler_says_otherwise(site):
    await site.start()
    kept, dropped = site.spec("sleep 1000"), site.spec("sleep 1000")
    await site.want(kept, dropped)
    await site.until_phase(kept.kernel_id, "running")
    await site.until_phase(dropped.kernel_id, "running")
    await site.forget(dropped)
    for _ in range(2):
        beat = await site.until_next_beat()
        assert {one.kernel_id: one.phase for one in beat.kernels} == {
            kept.kernel_id: "running",
            dropped.kernel_id: "running",
        }
    await site.stop_kernel(dropped, forced=True)
    await site.until_ended(dropped.kernel_id)
    assert site.last(kept.kernel_id).phase == "running"
    await site.stop_kernel(kept, forced=True)
    await site.until_ended(kept.kernel_id)


async def test_a_wiped_bucket_ends_nothing(nats_server, site):
    await site.start()
    spec = site.spec("echo ready; sleep 1000")
    await site.want(spec)
    await site.until_phase(spec.kernel_id, "running")
    await nats_server.stop()
    nats_server.wipe()
    await nats_server.start()
    for _ in range(3):
        beat = await site.until_next_beat()
        assert [one.phase for one in beat.kernels] == ["running"]
    # Filled again, the bucket is followed as before.
    await site.want(spec)
    await site.stop_kernel(spec, forced=True)
    await site.until_ended(spec.kernel_id)


async def test_an_ended_kernel_is_forgotten_but_its_log_stays_and_it_never_runs_again(site):
    await site.start()
    spec = site.spec("echo once")
    await site.want(spec)
    await site.until_ended(spec.kernel_id)
    await site.until_known(**{spec.kernel_id: "terminated"})
    await site.forget(spec)
    await site.until_known()
    await site.want(spec)
    await site.until_known(**{spec.kernel_id: "terminated"})
    assert (await site.log(spec.kernel_id)).data == b"once\n"


async def test_a_new_attempt_of_a_kernel_runs_here_again(node):
    spec = node.spec("sleep 1000")
    await node.want(spec)
    await node.until_phase(spec.kernel_id, "running")
    again = msgspec.structs.replace(spec, attempt=2, command=("sh", "-c", "echo second"))
    await node.want(again)
    assert (await node.until_ended(spec.kernel_id, 1)).reason == "force-terminated"
    assert (await node.until_ended(spec.kernel_id, 2)).exit_code == 0
    assert (await node.log(spec.kernel_id)).data == b"second\n"


async def test_what_is_meant_for_another_incarnation_is_left_alone(node):
    foreign, own = node.spec("echo no", incarnation="another"), node.spec("echo yes")
    await node.want(foreign, own)
    await node.until_ended(own.kernel_id)
    assert node.last(foreign.kernel_id) is None
    assert foreign.kernel_id not in {one.kernel_id for one in node.beats[-1].kernels}


async def test_reports_wait_for_a_scheduler_that_is_away_and_none_is_lost(site):
    site.refusal = unavailable("away", "not now")
    await site.start()
    specs = [site.spec(f"exit {code}") for code in range(5)]
    await site.want(*specs)
    await site.until_known(**dict.fromkeys((one.kernel_id for one in specs), "terminated"))
    assert not site.reports
    site.refusal = None
    for code, spec in enumerate(specs):
        assert (await site.until_ended(spec.kernel_id)).exit_code == code
        assert sorted(site.reports[spec.kernel_id, 1]) == [1, 2, 3]


async def test_a_report_that_is_refused_for_good_keeps_no_other_back(site):
    await site.start()
    site.refusal = Rejection(kind="invalid", code="unknown", message="no such kernel")
    odd = site.spec("exit 1")
    await site.want(odd)
    await site.until_known(**{odd.kernel_id: "terminated"})
    async with asyncio.timeout(30):
        while site.output().count("report_refused") < 3:
            await site.until_next_beat()
    site.refusal = None
    spec = site.spec("exit 2")
    await site.want(spec)
    assert (await site.until_ended(spec.kernel_id)).exit_code == 2
    assert site.last(odd.kernel_id) is None


async def test_a_stopped_daemon_says_goodbye_and_its_kernels_go_on(site):
    await site.start()
    spec = site.spec("echo ready; sleep 1000")
    await site.want(spec)
    await site.until_phase(spec.kernel_id, "running")
    assert await site.end(signal.SIGTERM) == 0
    await site.until(lambda: site.beats[-1].goodbye == "stopped")
    assert [one.phase for one in site.beats[-1].kernels] == ["running"]
    assert site.groups_left() == (f"{spec.kernel_id}.1",)
    await site.start()
    await site.until(lambda: site.beats[-1].goodbye is None)
    assert await site.end(signal.SIGHUP) == 0
    await site.until(lambda: site.beats[-1].goodbye == "restarting")
    await site.start()
    await site.stop_kernel(spec, forced=True)
    assert (await site.until_ended(spec.kernel_id)).exit_code == 137


async def test_two_daemons_do_not_share_one_data_folder(nats_server, site, tmp_path):
    await site.start()
    await site.until(lambda: site.beats)
    other = tmp_path / "other"
    other.mkdir()
    async with open_site(
        nats_server.url, other, QM_AGENT_DATA=str(tmp_path / "data"), QM_AGENT_ID="node-b"
    ) as second:
        await second.start()
        assert await second.wait_exit() == 1
        assert "Another node daemon works on" in second.output()


async def test_settings_that_are_wrong_stop_the_daemon_with_a_word(nats_server, tmp_path):
    async with open_site(
        nats_server.url, tmp_path, QM_AGENT_SLOTS='{"cpu": "two"}', QM_HEARTBEAT_INTERVAL_S="0"
    ) as site:
        await site.start()
        assert await site.wait_exit() == 2
        assert "QM_HEARTBEAT_INTERVAL_S" in site.output()
