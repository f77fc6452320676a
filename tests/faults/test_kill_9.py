"""`kill -9` of every part while sessions are being submitted.

Everything accepted is there afterwards, each ran exactly once, and nothing is left running.
"""

import json
import threading
import uuid

import httpx
import psutil
import pytest

from shared.kernel.ids import new_id
from shared.testing.installation import eventually, read, run_qm, submit, wait_status
from tests.faults.read_models import dump, forget

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

VICTIMS = [
    "users",
    "policies",
    "scheduler",
    "agents",
    "storage",
    "modelstore",
    "gateway",
    "node",
    "nats",
    "postgres",
]
SESSIONS = 12
PROGRAM = ["/usr/bin/python3", "-c"]
ENDED = {"TERMINATED", "CANCELLED", "ERROR"}


def body(witness, name):
    return {
        "name": name,
        "type": "batch",
        "image": "local/host:latest",
        "resources": {"cpu": "0.2", "mem": "32m"},
        "command": witness.command(),
    }


def submit_all(client, witness, prefix, started):
    made = []
    for number in range(SESSIONS):
        made.append(submit(client, body(witness, f"{prefix}-{number}")))
        if number == SESSIONS // 3:
            started.set()
    return made


@pytest.mark.parametrize("victim", VICTIMS)
def test_nothing_accepted_is_lost_and_nothing_runs_twice(installation, client, witness, victim):
    accepted: list[dict[str, object]] = []
    third = threading.Event()
    worker = threading.Thread(
        target=lambda: accepted.extend(submit_all(client, witness, f"kill-{victim}", third))
    )
    worker.start()
    assert third.wait(60)
    killed = installation.kill(victim)
    worker.join(180)
    assert len(accepted) == SESSIONS
    installation.wait_replaced(victim, killed)
    installation.wait_ready()
    for session in accepted:
        ended = wait_status(client, str(session["id"]), ENDED, timeout_s=90)
        assert (ended["status"], ended["result"]) == ("TERMINATED", "success"), ended
    ids = {str(session["id"]) for session in accepted}
    assert {key: witness.seen[key] for key in ids} == dict.fromkeys(ids, 1)
    listed = read(client, f"/v1/sessions?name=kill-{victim}-&limit=100")
    assert {item["id"] for item in listed["items"]} == ids


def test_reads_go_on_and_writes_say_503_while_a_domain_service_is_away(installation, client):
    def refused_while_reads_go_on() -> bool:
        installation.kill("scheduler")
        answer = client.post(
            "/v1/sessions",
            json={
                "name": "away",
                "type": "batch",
                "image": "local/host:latest",
                "resources": {"cpu": "0.1", "mem": "32m"},
                "command": ["true"],
            },
        )
        assert client.get("/v1/sessions").status_code == 200
        assert client.get("/v1/agents").status_code == 200
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["code"]
            return True
        assert answer.status_code in {201, 202}
        return False

    eventually("a write is refused with 503", refused_while_reads_go_on, 60)
    installation.wait_ready()


def test_a_running_session_survives_the_death_of_every_process_but_its_own(installation, client):
    made = submit(
        client,
        {
            "name": "survivor",
            "type": "batch",
            "image": "local/host:latest",
            "resources": {"cpu": "0.1", "mem": "32m"},
            "command": ["sh", "-c", "echo begin; read never < /dev/zero & sleep 8; echo end"],
        },
    )
    wait_status(client, made["id"], {"RUNNING"})
    for victim in ("node", "scheduler", "agents", "gateway"):
        installation.wait_replaced(victim, installation.kill(victim))
    installation.wait_ready()
    ended = wait_status(client, made["id"], ENDED)
    assert ended["result"] == "success"

    def whole_log() -> list[str] | None:
        answer = client.get(f"/v1/sessions/{made['id']}/logs")
        return answer.text.split() if answer.status_code == 200 else None

    assert eventually("the log is readable", whole_log) == ["begin", "end"]


def running_with(token):
    """Return the process ids of the programs, not of their keepers, that were given `token`."""
    lines = ((process.pid, _cmdline(process)) for process in psutil.process_iter())
    return [pid for pid, line in lines if line[:2] == PROGRAM and token in line]


def test_a_restart_survives_the_death_of_whoever_carries_it_out(installation, client):
    token = uuid.uuid4().hex
    # it takes its time to end, so that the death comes in the middle
    program = (
        "import signal, time;"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), exit(0)));"
        "time.sleep(600)"
    )
    made = submit(
        client,
        {
            "name": f"again-{token[:8]}",
            "type": "interactive",
            "image": "local/host:latest",
            "resources": {"cpu": "0.2", "mem": "64m"},
            "command": [*PROGRAM, program, token],
        },
    )
    path = f"/v1/sessions/{made['id']}"
    wait_status(client, made["id"], {"RUNNING"})
    for attempt, victims in enumerate((("node",), ("scheduler",), ("node", "scheduler")), start=2):
        (before,) = eventually("it runs", lambda: running_with(token))
        assert client.post(f"{path}/restart").status_code in {200, 202}
        killed = {victim: installation.kill(victim) for victim in victims}
        for victim, pid in killed.items():
            installation.wait_replaced(victim, pid)
        installation.wait_ready()

        def runs_again(attempt=attempt):
            found = read(client, path)
            return (found["status"], found["attempt"]) == ("RUNNING", attempt)

        eventually("it runs again", runs_again, 60)
        (after,) = eventually("its program runs", lambda: running_with(token))
        assert after != before
    assert client.delete(f"{path}?forced=true").status_code in {202, 204}
    wait_status(client, made["id"], ENDED)
    assert running_with(token) == []


def test_the_chains_are_whole_and_nothing_is_left_running(installation, client):
    def idle() -> bool:
        listed = read(client, "/v1/sessions?status=RUNNING&status=TERMINATING&limit=1")
        return listed["total"] == 0

    eventually("no session is live", idle, 60)
    done = run_qm("log", "verify", "--data", str(installation.data), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)
    kernels = str(installation.data)
    left = [
        process.cmdline()
        for process in psutil.process_iter()
        if any("shim" in part for part in _cmdline(process))
        and any(kernels in part for part in _cmdline(process))
    ]
    assert not left


def test_the_books_agree_with_the_log_and_the_node_after_all_this(installation, client):
    begun = client.post("/v1/maintenance/recalculate-usage", headers={"Idempotency-Key": new_id()})
    assert begun.status_code == 202, begun.text

    def over():
        task = read(client, f"/v1/tasks/{begun.json()['task_id']}")
        return task if task["status"] != "running" else None

    task = eventually("usage is recalculated", over, 60)
    assert (task["status"], task["result"]) == ("done", {"differences": [], "corrected": 0})


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_the_read_models_equal_the_fold_of_the_logs(installation, client):
    read(client, "/v1/sessions?limit=1")
    lived = dump(installation)
    assert {"sessions", "users", "agents"} <= set(lived)
    assert lived["sessions"]
    killed = installation.kill("gateway")
    forget(installation)
    installation.wait_replaced("gateway", killed)

    def folded() -> bool:
        return dump(installation) == lived

    eventually("the read models are what they were", folded, 60)


def test_the_gateway_answers_with_a_problem_and_not_a_trace_when_the_database_is_away(installation):
    killed = installation.kill("postgres")
    try:
        answer = httpx.get(f"{installation.endpoint}/v1/auth/me", timeout=10)
        assert answer.status_code in {401, 503}
        assert "Traceback" not in answer.text
    finally:
        installation.wait_replaced("postgres", killed)
        installation.wait_ready()
