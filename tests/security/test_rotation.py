"""A rotation while others hold the file: nothing they need is lost, and they notice."""

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.security import key_file, rotation
from shared.security.rotation import Rotated, rotate
from shared.security.sealing import KeyFileError, Keyring, NodeKey, SealBroken


@pytest.fixture
def master(tmp_path: Path) -> Path:
    path = tmp_path / "master-key.json"
    Keyring.generate().save(path)
    return path


@pytest.fixture
def node(master: Path) -> Path:
    path = master.with_name("node-key.json")
    Keyring.load(master).node_key("node-1").save(path)
    return path


def opens(keyring: Keyring, sealed: str) -> bool:
    return keyring.open_text("transport", sealed, context="a") == "text"


def test_whoever_holds_the_file_seals_with_the_new_version_at_once(master: Path) -> None:
    running = Keyring.load(master)
    old = running.seal("transport", "text", context="a")
    assert rotate(master, None) == Rotated(2, 1)
    new = running.seal("transport", "text", context="a")
    assert (old[:2], new[:2]) == ("1.", "2.")
    assert opens(running, old)
    assert opens(running, new)


def test_whoever_holds_the_file_opens_what_is_sealed_under_a_version_it_does_not_know(
    master: Path,
) -> None:
    running, old = Keyring.load(master), Keyring.load(master)
    rotate(master, None)
    assert opens(running, Keyring.load(master).seal("transport", "text", context="a"))
    assert running.current == 2
    assert repr(old) == "<Keyring current=1 versions=[1]>"


def test_a_version_that_nobody_has_is_refused_without_reading_the_file_again(
    master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Keyring.load(master)
    sealed = running.seal("transport", "text", context="a")
    monkeypatch.setattr(key_file, "read", lambda path: pytest.fail("it was read again"))
    with pytest.raises(SealBroken, match="version 7 is gone"):
        running.open("transport", f"7{sealed[1:]}", context="a")


def test_a_second_rotation_keeps_every_version_and_the_fingerprints(master: Path) -> None:
    running = Keyring.load(master)
    fingerprint = running.fingerprint("email", "a@b.c")
    values = [running.seal("transport", "text", context="a")]
    for version in (2, 3):
        assert rotate(master, None) == Rotated(version, version - 1)
        values.append(running.seal("transport", "text", context="a"))
    assert [value[:2] for value in values] == ["1.", "2.", "3."]
    for keyring in (running, Keyring.load(master)):
        assert all(opens(keyring, value) for value in values)
        assert keyring.fingerprint("email", "a@b.c") == fingerprint


def test_the_node_s_file_follows_and_the_running_node_notices(master: Path, node: Path) -> None:
    running = NodeKey.load(node)
    keyring = Keyring.load(master)
    before = keyring.node_key("node-1").seal("text", context="k")
    rotate(master, node)
    after = keyring.node_key("node-1").seal("text", context="k")
    assert (before[:2], after[:2]) == ("1.", "2.")
    assert [running.open_text(sealed, context="k") for sealed in (before, after)] == ["text"] * 2
    assert NodeKey.load(node).agent_id == "node-1"


Save = Callable[[Path, key_file.KeyFile], None]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_rotation_that_is_cut_off_anywhere_is_gone_on_with(
    master: Path, node: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    running, running_node = Keyring.load(master), NodeKey.load(node)
    left = [writes]

    def cut_off(path: Path, file: key_file.KeyFile, write: Save = key_file.write) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(path, file)

    with monkeypatch.context() as patch:
        patch.setattr(key_file, "write", cut_off)
        with pytest.raises(KeyboardInterrupt):
            rotate(master, node)
    between = running.seal("node:node-1", "text", context="k")
    assert between.startswith("1.")
    assert running_node.open_text(between, context="k") == "text"
    staged = key_file.read(master).keys
    assert rotate(master, node) == Rotated(2, 1)
    assert key_file.read(master).keys.items() >= staged.items()
    after = running.seal("node:node-1", "text", context="k")
    assert after.startswith("2.")
    assert running_node.open_text(after, context="k") == "text"


def test_two_rotations_at_once_do_not_overwrite_each_other_s_key(master: Path) -> None:
    handle = os.open(master.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(KeyFileError, match="another rotation"):
            rotate(master, None)
    finally:
        os.close(handle)
    assert Keyring.load(master).current == 1
    assert rotation.rotate(master, None).version == 2


def replaced(master: Path) -> None:
    Keyring.generate().save(master)


def emptied(master: Path) -> None:
    master.write_text("")


def removed(master: Path) -> None:
    master.unlink()


def opened_to_others(master: Path) -> None:
    master.chmod(0o644)


def given_an_older_version(master: Path) -> None:
    content = json.loads(master.read_text())
    content["keys"]["0"] = content["keys"]["1"]
    master.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "damage", [replaced, emptied, removed, opened_to_others, given_an_older_version]
)
def test_a_file_that_is_spoilt_while_it_is_in_use_does_no_harm(
    master: Path, damage: Callable[[Path], None]
) -> None:
    running = Keyring.load(master)
    content = master.read_text()
    fingerprint = running.fingerprint("email", "a@b.c")
    damage(master)
    sealed = running.seal("transport", "text", context="a")
    assert opens(running, sealed)
    assert running.fingerprint("email", "a@b.c") == fingerprint
    master.unlink(missing_ok=True)
    master.touch(mode=0o600)
    master.write_text(content)
    rotate(master, None)
    assert running.seal("transport", "text", context="a").startswith("2.")
    assert opens(Keyring.load(master), sealed)


def test_a_node_s_file_is_not_taken_for_the_master_keys(master: Path, node: Path) -> None:
    with pytest.raises(KeyFileError, match="node's"):
        Keyring.load(node)
    with pytest.raises(KeyFileError, match="names no agent"):
        rotate(master, master)
