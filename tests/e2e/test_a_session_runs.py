"""What the README promises, as a stranger meets it."""

import json
import stat

import pytest

from services.agents.node.process.probe import NO_SUDO
from shared.testing.installation import ROOT, eventually, read, run_qm, submit, wait_status

pytestmark = pytest.mark.e2e

IMAGE = "local/host:latest"
SMALL = {"cpu": "0.25", "mem": "64m"}
ENDED = {"TERMINATED", "CANCELLED", "ERROR"}


def batch(name, *command, **more):
    return {
        "name": name,
        "type": "batch",
        "image": IMAGE,
        "resources": SMALL,
        "command": list(command),
        **more,
    }


def test_the_first_start_leaves_the_administrators_credentials_to_the_owner_only(installation):
    path = installation.data / "admin-credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(installation.credentials()) >= {
        "endpoint",
        "email",
        "password",
        "access_key",
        "secret_key",
    }
    assert installation.credentials()["endpoint"] == installation.endpoint


def test_a_batch_session_runs_and_its_log_exit_code_and_history_are_there(client):
    made = submit(client, batch("hello", "sh", "-c", "echo hello; echo oops >&2; exit 3"))
    assert made["status"] in {"PENDING", "SCHEDULED", "PREPARING", "RUNNING", *ENDED}
    ended = wait_status(client, made["id"], ENDED)
    assert (ended["status"], ended["exit_code"], ended["result"]) == ("TERMINATED", 3, "failure")
    log = client.get(f"/v1/sessions/{made['id']}/logs")
    assert log.status_code == 200
    assert set(log.text.split()) == {"hello", "oops"}
    assert list(ended["status_history"]) == [
        "PENDING",
        "SCHEDULED",
        "PREPARING",
        "RUNNING",
        "TERMINATED",
    ]


def test_the_environment_reaches_the_command_and_nobody_elses_does(client):
    made = submit(client, batch("env", "env", environ={"GREETING": "hi there"}))
    wait_status(client, made["id"], ENDED)
    lines = client.get(f"/v1/sessions/{made['id']}/logs").text.splitlines()
    assert "GREETING=hi there" in lines
    assert f"QM_SESSION_ID={made['id']}" in lines
    assert not [line for line in lines if line.startswith(("QM_DATABASE", "QM_NATS", "QM_MASTER"))]


def test_a_user_with_sudo_is_root_inside_the_own_sessions(client):
    def runs_as(name):
        made = submit(client, batch(name, "id", "-u"))
        wait_status(client, made["id"], ENDED)
        return int(client.get(f"/v1/sessions/{made['id']}/logs").text)

    (agent,) = read(client, "/v1/agents")["items"]
    assert runs_as("plain") != 0
    me = f"/v1/users/{read(client, '/v1/users/me')['id']}"
    assert client.patch(me, json={"sudo_session_enabled": True}).status_code == 200
    withheld = any(NO_SUDO in note for note in agent["isolation_notes"])
    assert (runs_as("rooted") == 0) is not withheld
    assert client.patch(me, json={"sudo_session_enabled": False}).status_code == 200


def test_a_session_that_eats_too_much_memory_is_ended_and_says_so(client):
    hog = "x = bytearray(256 * 1024 * 1024); print(len(x))"
    made = submit(client, batch("hog", "/usr/bin/python3", "-c", hog))
    ended = wait_status(client, made["id"], ENDED)
    assert ended["result"] == "failure"
    assert ended["status_info"] == "out-of-memory"


def test_a_running_session_is_ended_on_request(client):
    made = submit(client, batch("long", "sleep", "600"))
    wait_status(client, made["id"], {"RUNNING"})
    assert client.delete(f"/v1/sessions/{made['id']}").status_code in {202, 204}
    ended = wait_status(client, made["id"], ENDED)
    assert (ended["status"], ended["status_info"]) == ("TERMINATED", "user-requested")


def test_a_running_session_is_restarted_in_place_with_a_new_process_and_a_new_log(client):
    script = "cat /proc/sys/kernel/random/uuid; exec sleep 600"
    made = submit(client, batch("again", "sh", "-c", script, type="interactive"))
    path = f"/v1/sessions/{made['id']}"
    before = wait_status(client, made["id"], {"RUNNING"})

    def log():
        return client.get(f"{path}/logs").text or None

    first = eventually("it has written", log)
    assert client.post(f"{path}/restart", json={"grace_s": 5}).status_code in {200, 202}

    def runs_again():
        found = read(client, path)
        return found if (found["status"], found["attempt"]) == ("RUNNING", 2) else None

    after = eventually("it runs again", runs_again)
    assert after["agents"] == before["agents"]
    assert after["kernels"][0]["id"] != before["kernels"][0]["id"]
    assert after["times"]["started_at"] == before["times"]["started_at"]
    assert "RESTARTING" in after["status_history"]
    told = [item["type"] for item in read(client, f"{path}/timeline?limit=100")["items"]]
    assert {"SessionRestarting", "SessionRestarted"} <= set(told)
    assert eventually("it has written anew", log) != first
    assert client.delete(f"{path}?forced=true").status_code in {202, 204}
    wait_status(client, made["id"], ENDED)
    refused = client.post(f"{path}/restart")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_running")


def test_a_session_that_must_wait_says_why_and_is_placed_when_room_is_made(client):
    (agent,) = read(client, "/v1/agents")["items"]
    whole = {"cpu": agent["available_slots"]["cpu"], "mem": "64m"}
    first = submit(client, batch("first", "sleep", "600", resources=whole))
    wait_status(client, first["id"], {"RUNNING"})
    second = submit(client, batch("second", "true", resources=whole))

    def examined():
        queue = read(client, "/v1/sessions/pending?resource_group=default")
        (entry,) = [item for item in queue["items"] if item["session"]["id"] == second["id"]]
        assert entry["reason"]["message"]
        return entry if entry["reason"]["violations"] else None

    entry = eventually("the scheduler has looked at the session", examined)
    assert (entry["position"], entry["reason"]["code"]) == (1, "not-enough-resources")
    assert [item["slot"] for item in entry["reason"]["violations"]] == ["cpu"]
    client.delete(f"/v1/sessions/{first['id']}?forced=true")
    assert wait_status(client, second["id"], ENDED)["result"] == "success"


def test_a_request_that_no_agent_could_ever_hold_is_refused_with_numbers(client):
    answer = client.post(
        "/v1/sessions", json=batch("huge", "true", resources={"cpu": "4096", "mem": "1g"})
    )
    assert answer.status_code == 422
    assert "cpu" in answer.text


def test_a_pending_session_is_cancelled_without_ever_having_run(client):
    (agent,) = read(client, "/v1/agents")["items"]
    whole = {"cpu": agent["available_slots"]["cpu"], "mem": "64m"}
    first = submit(client, batch("blocker", "sleep", "600", resources=whole))
    wait_status(client, first["id"], {"RUNNING"})
    second = submit(client, batch("waiting", "true", resources=whole))
    client.delete(f"/v1/sessions/{second['id']}")
    assert wait_status(client, second["id"], ENDED)["status"] == "CANCELLED"
    client.delete(f"/v1/sessions/{first['id']}?forced=true")
    wait_status(client, first["id"], ENDED)


def test_an_array_of_sessions_is_made_by_one_request(client):
    answer = submit(client, batch("many", "true", count=5))
    listed = read(client, "/v1/sessions?name=many-&limit=10")
    assert listed["total"] == 5, answer
    for item in listed["items"]:
        assert wait_status(client, item["id"], ENDED)["result"] == "success"


def test_the_agent_says_what_it_enforces_and_what_not(client):
    (agent,) = read(client, "/v1/agents")["items"]
    assert agent["status"] == "ALIVE"
    assert set(agent["isolation"]) >= {"cpu", "memory", "pids", "filesystem", "network"}
    assert agent["isolation"]["network"] == "not_enforced"


def test_a_second_start_on_the_same_data_is_refused_with_a_clear_message(installation):
    done = run_qm("up", "--data", str(installation.data), "--port", "0")
    assert done.returncode != 0
    assert "already" in done.stdout + done.stderr


def test_a_port_that_is_taken_is_refused_with_a_clear_message(installation, tmp_path):
    done = run_qm("up", "--data", str(tmp_path / "other"), "--port", str(installation.port))
    assert done.returncode != 0
    assert str(installation.port) in done.stdout + done.stderr


def test_log_verify_finds_every_chain_whole(installation):
    done = run_qm("log", "verify", "--data", str(installation.data), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report


def test_the_licence_and_the_two_commands_are_where_a_stranger_looks():
    assert (ROOT / "LICENSE").exists()
    assert "./qm up" in (ROOT / "README.md").read_text(encoding="utf-8")
