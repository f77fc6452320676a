"""Documents as the gateway renders them, for looking at pages without a gateway."""

from datetime import UTC, datetime, timedelta

NOW = datetime.now(tz=UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def session(number: int, name: str, status: str, **more) -> dict:
    made = {
        "id": f"0193a1b2-7c4d-7e5f-8a9b-{number:012d}",
        "name": name,
        "type": "batch",
        "status": status,
        "status_info": None,
        "status_detail": "",
        "status_history": {"PENDING": ago(300), "SCHEDULED": ago(295.98), "RUNNING": ago(295.4)},
        "user_id": "0193a1b2-0000-7000-8000-000000000001",
        "owner": "jisoo.kim@example.org",
        "project": "0193a1b2-0000-7000-8000-00000000000a",
        "resource_group": "default",
        "image": "local/host:latest",
        "architecture": "x86_64",
        "command": ["python3", "train.py", "--epochs", "3", "--run", "warm up"],
        "priority": 10,
        "cluster_size": 1,
        "cluster_mode": "single-node",
        "resources": {"cpu": "2", "mem": "4294967296"},
        "requested": {"cpu": "2", "mem": "4294967296"},
        "adjustments": [],
        "agents": ["i-gpu-03"],
        "kernels": [],
        "exit_code": None,
        "result": "undefined",
        "position": None,
        "reason": None,
        "starts_at": None,
        "depends_on": [],
        "designated_agents": [],
        "shared_memory": None,
        "expires_at": None,
        "retries": 0,
        "estimated_start": None,
        "created_at": ago(300 + number * 900),
        "may_restart": status == "RUNNING",
        "may_terminate": status not in {"TERMINATED", "CANCELLED", "ERROR"},
    }
    return made | more


REASON = {
    "code": "not-enough-resources",
    "message": "No agent has 4 more cuda.device free; the nearest is short by 2.",
    "violations": [
        {"scope": "agent", "slot": "cuda.device", "requested": "4", "short_by": "2", "agents": 6}
    ],
}
LIMIT = {
    "code": "over-limit",
    "message": "The keypair's limit: sessions used 5, requested 1, limit 5.",
    "violations": [
        {
            "scope": "keypair:AKIA0123456789ABCDEF",
            "slot": "sessions",
            "used": "5",
            "requested": "1",
            "limit": "5",
        }
    ],
}
START = {"low": ago(-840), "likely": ago(-1800), "high": ago(-4800)}
GPU = {"cpu": "8", "mem": "68719476736", "cuda.device": "4"}
SESSIONS = [
    session(
        1,
        "llama-finetune-0413",
        "PENDING",
        position=1,
        reason=REASON,
        agents=[],
        requested=GPU,
        estimated_start=START,
        starts_at=ago(600),
        expires_at=ago(-4440),
        depends_on=["0193a1b2-7c4d-7e5f-8a9b-000000000007"],
        status_history={"PENDING": ago(1200)},
    ),
    session(
        2,
        "eval-nightly",
        "PENDING",
        position=2,
        reason=LIMIT,
        agents=[],
        owner="minho@example.org",
        status_history={"PENDING": ago(2100)},
    ),
    session(3, "tokenizer-build", "PREPARING", owner="ada.lovelace@example.org"),
    session(4, "warmup-c41f09", "RUNNING", type="interactive", requested=GPU),
    session(5, "ddp-resnet", "RUNNING", cluster_size=4, agents=["i-gpu-01", "i-gpu-02"]),
    session(6, "export-onnx", "TERMINATING", status_info="user-requested"),
    session(
        7,
        "echo-hello",
        "TERMINATED",
        status_info="task-finished",
        exit_code=0,
        result="success",
        requested={"cpu": "0.5", "mem": "268435456"},
    ),
    session(
        8,
        "preprocess-shards",
        "TERMINATED",
        status_info="out-of-memory",
        exit_code=137,
        result="failure",
        status_detail="the kernel's memory limit of 4 GiB was reached",
        status_history={
            "PENDING": ago(300),
            "SCHEDULED": ago(295.98),
            "PREPARING": ago(295.8),
            "RUNNING": ago(295.4),
            "TERMINATING": ago(31),
            "TERMINATED": ago(30.2),
        },
    ),
    session(9, "notebook", "CANCELLED", status_info="user-requested", agents=[]),
    session(
        10,
        "sweep-17",
        "ERROR",
        status_info="failed-to-start",
        status_detail="image local/gpu:12 is not on this host",
    ),
]
LIVE = {
    "cpu_util": 41.6,
    "mem": {"used": 34_600_000_000, "total": 137_438_953_472},
    "disk": {"used": 510_000_000_000, "total": 2_000_000_000_000},
    "net": {"received_s": 1_250_000, "sent_s": 88_000},
    "devices": [],
}


def agent(name: str, status: str = "ALIVE", **more) -> dict:
    made = {
        "id": name,
        "status": status,
        "schedulable": True,
        "resource_group": "default",
        "addr": "10.20.0.11",
        "region": "seoul-1",
        "architecture": "x86_64",
        "version": "0.1.0",
        "runtime": "process",
        "first_contact": ago(86400 * 3),
        "lost_at": None,
        "available_slots": {"cpu": "32", "mem": "137438953472", "cuda.device": "8"},
        "occupied_slots": {"cpu": "14", "mem": "68719476736", "cuda.device": "7"},
        "session_count": 6,
        "live": LIVE,
        "devices": [],
        "installed_images": ["local/host:latest", "local/cuda:12.4"],
        "isolation": {
            "cpu": "enforced",
            "memory": "enforced",
            "pids": "enforced",
            "filesystem": "enforced",
            "user": "best_effort",
            "network": "not_enforced",
        },
        "isolation_notes": [
            "bubblewrap is present: sessions see a read-only system and their own /home.",
            "Sessions share this host's network.",
        ],
    }
    return made | more


AGENTS = [
    agent("i-gpu-01"),
    agent(
        "i-gpu-02",
        occupied_slots={"cpu": "32", "mem": "130000000000", "cuda.device": "8"},
        session_count=11,
    ),
    agent("i-gpu-03", schedulable=False, session_count=2),
    agent(
        "i-cpu-01",
        available_slots={"cpu": "64", "mem": "274877906944"},
        occupied_slots={"cpu": "55", "mem": "34359738368"},
    ),
    agent("i-cpu-02", "LOST", lost_at=ago(500), live=None),
]
USAGE = {
    "why": None,
    "cpu": {"used": 1.9, "allotted": 2.0, "percent": 95.0, "used_s": 321.5},
    "mem": {"used": 2 * 2**30, "allotted": 4 * 2**30, "percent": 50.0, "peak": 3 * 2**30},
    "io": {"read": 2**20, "written": None},
    "pids": 7,
    "devices": [
        {
            "id": "GPU-1",
            "slot": "cuda.device",
            "agent_id": "i-gpu-03",
            "utilisation": 61.0,
            "mem_used": 10 * 2**30,
            "mem_total": 80 * 2**30,
        }
    ],
}
CHECKS = [
    {
        "check": "session_lifetime",
        "ends_at": "2026-04-14T09:00:00Z",
        "remaining_s": 86_400,
        "detail": {"limit_s": 604_800, "thresholds_percent": {}},
    },
    {
        "check": "network_timeout",
        "ends_at": "2026-04-13T09:40:00Z",
        "remaining_s": 2_400,
        "detail": {"limit_s": 3_600, "thresholds_percent": {}},
    },
    {
        "check": "utilization",
        "ends_at": None,
        "remaining_s": None,
        "detail": {
            "limit_s": 43_200,
            "operator": "and",
            "thresholds_percent": {"cpu": 5, "gpu": 10},
            "measured_percent": {"cpu": 3.25, "gpu": 61.0},
            "judged_from": "2026-04-13T12:00:00Z",
        },
    },
]
