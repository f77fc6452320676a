"""A whole installation stops, survives its supervisor, and comes back as it was."""

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from deploy.embedded.ports import free_port
from deploy.embedded.roster import NODE, SERVICES
from shared.testing.installation import Installation, eventually, run_qm
from shared.testing.servers import scratch_directory

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def installation():
    directory = scratch_directory("installation")
    made = Installation(directory / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)


def environment_of(pid: int) -> bytes:
    return (Path("/proc") / str(pid) / "environ").read_bytes()


def parts_alive(data: Path) -> dict[int, str]:
    """Return the processes that were told about `data`, but for the sessions' own."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(data).encode() in told and "shim" not in command:
                found[int(entry.name)] = command
    return found


def test_all_parts_run_and_each_has_a_log(installation):
    state = installation.state()
    assert state["state"] == "ready"
    assert set(state["processes"]) == {"postgres", "nats", *SERVICES, NODE}
    for name, part in state["processes"].items():
        assert part["state"] == "running"
        assert (installation.data / "log" / f"{name}.log").stat().st_size > 0
    assert state["processes"]["gateway"]["http_port"] == installation.port


def test_no_part_asks_nats_for_what_it_may_not(installation):
    log = (installation.data / "log" / "nats.log").read_text()
    assert "Violation" not in log
    assert "Authorization" not in log


def test_no_secret_reaches_a_log_or_a_command_line(installation):
    secrets = [*installation.credentials().values()]
    secrets.remove(installation.endpoint)
    secrets.remove(installation.credentials()["email"])
    passwords = json.loads((installation.data / "secrets" / "passwords.json").read_text())
    secrets += [passwords["postgres_admin"], *passwords["postgres"].values()]
    secrets += passwords["nats"].values()
    texts = {path: path.read_text() for path in (installation.data / "log").iterdir()}
    lines = "\n".join(parts_alive(installation.data).values())
    for secret in secrets:
        assert not [path.name for path, text in texts.items() if secret in text]
        assert secret not in lines


def test_files_with_secrets_are_for_their_owner_only(installation):
    for path in (installation.data / "secrets").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    for path in ("admin-credentials.json", "secrets", "log", "nats", "node"):
        assert (installation.data / path).stat().st_mode & 0o077 == 0, path
    database = (installation.data / "postgres").resolve()
    assert database.stat().st_mode & 0o077 == 0


def test_a_killed_supervisor_takes_everything_along_and_the_next_start_goes_on(installation):
    before = installation.credentials()
    shown = installation.output.count(before["password"])
    assert shown == 1
    supervisor = installation.process.pid
    os.kill(supervisor, signal.SIGKILL)
    installation.process.wait()
    eventually("nothing is left", lambda: not parts_alive(installation.data), 20)

    installation.start()
    assert installation.credentials() == before
    assert installation.output.count(before["password"]) == 1
    with installation.client() as client:
        assert client.get("/v1/auth/me").status_code == 200


def test_down_stops_everything_in_order_and_leaves_nothing(installation):
    done = run_qm("down", "--data", str(installation.data))
    assert done.returncode == 0, done.stderr
    assert installation.process.wait(10) == 0
    assert not parts_alive(installation.data)
    assert installation.state()["state"] == "stopped"
    assert {part["state"] for part in installation.state()["processes"].values()} == {"stopped"}
    postgres = (installation.data / "log" / "postgres.log").read_text()
    assert postgres.rstrip().endswith("database system is shut down")


def test_detached_it_returns_when_it_is_ready_and_another_port_is_taken_over(installation):
    port = free_port()
    done = run_qm("up", "--detach", "--data", str(installation.data), "--port", str(port))
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"http://127.0.0.1:{port}" in done.stdout
        assert installation.state()["state"] == "ready"
        assert installation.credentials()["endpoint"] == f"http://127.0.0.1:{port}"
    finally:
        assert run_qm("down", "--data", str(installation.data)).returncode == 0
    assert not parts_alive(installation.data)


async def test_a_postgres_that_somebody_else_runs_is_used_and_left_alone(own_postgres):
    directory = scratch_directory("external")
    url = own_postgres.admin_url("elsewhere")
    made = Installation(directory / "var", free_port(), {"QM_POSTGRES_URL": url})
    try:
        await asyncio.to_thread(made.start)
        assert "postgres" not in made.state()["processes"]
        assert not (made.data / "postgres").exists()
        password = url.split("@")[0].rpartition(":")[2].encode()
        for part in made.state()["processes"].values():
            assert password not in environment_of(part["pid"])
        assert await asyncio.to_thread(made.stop) == 0
        await own_postgres.execute("SELECT 1")
    finally:
        await asyncio.to_thread(made.stop)
        await own_postgres.drop("elsewhere")
        shutil.rmtree(directory, ignore_errors=True)
