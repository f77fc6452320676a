"""The launcher says what is wrong before it starts anything."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded import down
from deploy.embedded.credentials import ensure_credentials, show_once
from deploy.embedded.external import ExternalPostgres
from deploy.embedded.layout import Layout
from deploy.embedded.lock import InstanceLock
from deploy.embedded.packages import SystemPackage
from deploy.embedded.passwords import load_passwords
from deploy.embedded.terminal import SetupError
from shared.testing.installation import ROOT, run_qm


@pytest.fixture
def layout(tmp_path: Path):
    layout = Layout(tmp_path / "var")
    layout.make()
    return layout


def test_a_port_that_somebody_listens_on_is_named_and_nothing_is_started(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_qm("up", "--data", str(tmp_path / "var"), "--port", str(port))
    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "var" / "postgres").exists()


def test_a_directory_that_is_served_is_not_served_twice(layout: Layout):
    lock = InstanceLock(layout.lock)
    assert lock.acquire()
    done = run_qm("up", "--data", str(layout.data), "--port", "0")
    assert done.returncode == 4
    assert f"already served by process {os.getpid()}" in done.stderr
    lock.release()
    assert lock.holder() is None


def test_a_place_that_cannot_hold_data_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "file").touch()
    done = run_qm("up", "--data", str(tmp_path / "file" / "var"), "--port", "0")
    assert done.returncode == 1
    assert "cannot be used: Not a directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_down_says_so_when_nothing_runs(layout: Layout):
    done = run_qm("down", "--data", str(layout.data))
    assert done.returncode == 0
    assert "Nothing runs" in done.stdout


def test_down_of_somebody_elses_installation_is_refused_in_one_line(layout, monkeypatch, capsys):
    def refuse(*_arguments):
        raise PermissionError

    lock = InstanceLock(layout.lock)
    assert lock.acquire()
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    monkeypatch.setattr(sys, "argv", ["qm down", "--data", str(layout.data)])
    with pytest.raises(SystemExit) as ended:
        down.main()
    lock.release()
    assert ended.value.code == 1
    assert "belongs to somebody else" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_a_port_that_is_none_is_refused(port: str):
    assert run_qm("up", "--port", port).returncode == 2


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path):
    copy = tmp_path / "qm"
    copy.write_bytes((ROOT / "qm").read_bytes())
    copy.chmod(0o755)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    done = subprocess.run(
        [str(copy), "up"],
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.11" in done.stderr


def test_credentials_are_made_once_for_their_owner_only(layout: Layout):
    ensure_credentials(layout, "http://127.0.0.1:1")
    first = json.loads(layout.credentials.read_text())
    ensure_credentials(layout, "http://127.0.0.1:2")
    second = json.loads(layout.credentials.read_text())
    assert second == {**first, "endpoint": "http://127.0.0.1:2"}
    assert set(first) == {"endpoint", "email", "password", "access_key", "secret_key"}
    assert stat.S_IMODE(layout.credentials.stat().st_mode) == 0o600


def test_credentials_are_printed_once(layout: Layout, capsys):
    ensure_credentials(layout, "http://127.0.0.1:1")
    password = json.loads(layout.credentials.read_text())["password"]
    show_once(layout)
    assert password in capsys.readouterr().out
    show_once(layout)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://boss:s%40@db.example", "db.example:5432/qm"),
        ("postgres://boss:s%40@db.example:6000/cluster", "db.example:6000/cluster"),
        ("postgresql://boss:s%40@[::1]:6000/?sslmode=require", "[::1]:6000/qm?sslmode=require"),
    ],
)
def test_an_external_postgres_gives_each_role_its_address(url: str, expected: str):
    server = ExternalPostgres(url)
    assert server.database_url == f"postgresql://boss:s%40@{expected}"
    assert server.role_url("qm_users", "p/w") == f"postgresql://qm_users:p%2Fw@{expected}"


def test_an_address_that_is_none_of_postgres_is_refused_without_showing_it():
    with pytest.raises(SetupError, match="QM_POSTGRES_URL") as refused:
        ExternalPostgres("mysql://boss:secret@db")
    assert "secret" not in str(refused.value)


def test_passwords_are_kept_and_completed(layout: Layout):
    first = load_passwords(layout)
    assert load_passwords(layout) == first
    known = json.loads(layout.passwords.read_text())
    del known["nats"]["node"]
    layout.passwords.write_text(json.dumps(known))
    completed = load_passwords(layout)
    assert completed.postgres == first.postgres
    assert completed.nats["node"] != first.nats["node"]
    assert len({*first.postgres.values(), *first.nats.values(), first.postgres_admin}) == 17
    assert first.postgres_admin not in repr(first)
    assert stat.S_IMODE(layout.passwords.stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.secrets.stat().st_mode) == 0o700


def test_a_missing_system_package_is_named_with_its_command():
    package = SystemPackage("no-such", ("no-such-program",), "nothing works")
    assert not package.is_there()
    assert package.command() == "sudo apt-get install --no-install-recommends no-such"
    assert SystemPackage("shell", ("sh",), "").is_there()
    assert SystemPackage("shell", ("/bin/sh",), "").is_there()
