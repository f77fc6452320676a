"""JetStream is a replica: wiped, or set back to an earlier state, it converges by itself."""

import json
import shutil

import pytest

from shared.testing.installation import read, run_qm, submit, wait_status

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

ENDED = {"TERMINATED", "CANCELLED", "ERROR"}


def run_one(client, name):
    made = submit(
        client,
        {
            "name": name,
            "type": "batch",
            "image": "local/host:latest",
            "resources": {"cpu": "0.2", "mem": "32m"},
            "command": ["echo", name],
        },
    )
    ended = wait_status(client, made["id"], ENDED)
    assert ended["result"] == "success", ended
    return ended["id"]


def verified(installation):
    done = run_qm("log", "verify", "--data", str(installation.data), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_wiped_jetstream_is_filled_again_and_work_goes_on(installation, client):
    before = run_one(client, "before-the-wipe")
    installation.stop()
    shutil.rmtree(installation.data / "nats" / "jetstream")
    installation.start()
    assert read(client, f"/v1/sessions/{before}")["result"] == "success"
    after = run_one(client, "after-the-wipe")
    assert read(client, f"/v1/sessions/{after}")["result"] == "success"
    assert verified(installation)


def test_a_stream_that_lost_its_tail_gets_it_back_at_the_same_positions(installation, client):
    installation.stop()
    streams = installation.data / "nats" / "jetstream"
    earlier = installation.data / "earlier"
    shutil.copytree(streams, earlier)
    installation.start()
    kept = [run_one(client, f"in-the-tail-{number}") for number in range(3)]
    installation.stop()
    shutil.rmtree(streams)
    shutil.move(earlier, streams)
    installation.start()
    for session_id in kept:
        assert read(client, f"/v1/sessions/{session_id}")["result"] == "success"
    run_one(client, "after-the-tail")
    assert verified(installation)


def test_jetstream_wiped_under_running_services_is_filled_again(installation, client):
    before = run_one(client, "before-the-live-wipe")
    killed = installation.kill("nats")
    shutil.rmtree(installation.data / "nats" / "jetstream", ignore_errors=True)
    installation.wait_replaced("nats", killed)
    installation.wait_ready()
    assert read(client, f"/v1/sessions/{before}")["result"] == "success"
    run_one(client, "after-the-live-wipe")
    assert verified(installation)
