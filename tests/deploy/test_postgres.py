"""The embedded Postgres comes up, keeps its data and listens to nobody else."""

import os
import pwd
import shutil
import signal
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.child import ChildError
from deploy.embedded.postgres import EmbeddedPostgres
from shared.testing.servers import Databases, scratch_directory


@pytest.fixture
def place():
    directory = scratch_directory("test")
    yield directory
    for moved in directory.rglob("postgres"):
        if moved.is_symlink():
            shutil.rmtree(moved.resolve())
    shutil.rmtree(directory)


async def _write(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
    await connection.close()


async def _read(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT n FROM kept")
    finally:
        await connection.close()


async def test_a_committed_row_survives_kill_9_of_the_whole_server(place: Path):
    server = EmbeddedPostgres(place / "postgres", password="first")
    await server.start()
    await _write(server.admin_url)
    server.child.kill()
    assert await server.child.wait() == -signal.SIGKILL

    again = EmbeddedPostgres(place / "postgres", password="first")
    await again.start()
    try:
        assert await _read(again.admin_url) == 42
    finally:
        await again.stop()


async def test_a_server_that_outlived_its_supervisor_is_replaced(place: Path):
    forgotten = EmbeddedPostgres(place / "postgres", password="first")
    await forgotten.start()
    await _write(forgotten.admin_url)

    heir = EmbeddedPostgres(place / "postgres", password="first")
    await heir.start()
    try:
        assert await forgotten.child.wait() == 0, "it is stopped cleanly"
        assert await _read(heir.admin_url) == 42
    finally:
        await heir.stop()


async def test_a_lock_file_that_names_a_stranger_does_not_stop_the_start(place: Path):
    server = EmbeddedPostgres(place / "postgres", password="first")
    await server.start()
    await server.stop()
    lock = place / "postgres" / "cluster" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n0\n1\n\n127.0.0.1\n0\nready\n")
    lock.chmod(0o644)

    await server.start()
    await server.stop()


async def test_a_half_made_cluster_is_made_anew(place: Path):
    server = EmbeddedPostgres(place / "postgres", password="first")
    (place / "postgres" / "new-broken" / "cluster").mkdir(parents=True)
    if os.geteuid() == 0:
        account = pwd.getpwnam("quartermaster")
        os.chown(place / "postgres", account.pw_uid, account.pw_gid)
    await server.start()
    await server.stop()
    assert [entry.name for entry in (place / "postgres").iterdir()] == ["cluster"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has an account to become")
async def test_as_root_it_works_below_a_directory_that_only_root_may_enter(place: Path):
    home = place / "home"
    home.mkdir(mode=0o700)
    server = EmbeddedPostgres(home / "var" / "postgres", password="first")
    await server.start()
    try:
        owner = os.stat(f"/proc/{server.child.pid}").st_uid  # noqa: PTH116  # PTH in a coroutine
        assert pwd.getpwuid(owner).pw_name == "quartermaster"
        await _write(server.admin_url)
        assert home.stat().st_mode & 0o777 == 0o700
    finally:
        await server.stop()


async def test_a_wrong_password_is_refused(postgres: Databases):
    url = await postgres.empty()
    password = url.split("@")[0].rpartition(":")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url.replace(password, "wrong"))


async def test_a_taken_port_is_said_in_the_servers_own_words(postgres: Databases, place: Path):
    taken = postgres.server.embedded.port
    with pytest.raises(ChildError, match="could not bind"):
        await EmbeddedPostgres(place / "postgres", taken, password="first").start()
