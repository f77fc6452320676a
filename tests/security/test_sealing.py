"""Sealed values open only where and for what they were made."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security.persons import PersonKey, PersonKeys, open_text, seal_text
from shared.security.sealing import KeyFileError, Keyring, NodeKey, SealBroken

KEYRING = Keyring.generate()


@given(plaintext=st.binary(max_size=300), purpose=st.sampled_from(["transport", "environ"]))
def test_what_is_sealed_opens_again(plaintext: bytes, purpose: str) -> None:
    sealed = KEYRING.seal(purpose, plaintext, context="somebody")
    assert KEYRING.open(purpose, sealed, context="somebody") == plaintext


def test_the_same_text_sealed_twice_looks_different() -> None:
    once = KEYRING.seal("transport", "text", context="a")
    assert once != KEYRING.seal("transport", "text", context="a")
    assert "text" not in once


def test_another_purpose_does_not_open_it() -> None:
    sealed = KEYRING.seal("transport", "text", context="a")
    with pytest.raises(SealBroken):
        KEYRING.open("environ", sealed, context="a")


def test_another_context_does_not_open_it() -> None:
    sealed = KEYRING.seal("transport", "text", context="a")
    with pytest.raises(SealBroken):
        KEYRING.open("transport", sealed, context="b")


def test_another_installation_does_not_open_it() -> None:
    sealed = KEYRING.seal("transport", "text", context="a")
    with pytest.raises(SealBroken):
        Keyring.generate().open("transport", sealed, context="a")


@given(position=st.integers(0, 200), letter=st.characters(codec="ascii"))
def test_a_changed_character_never_opens(position: int, letter: str) -> None:
    sealed = KEYRING.seal("transport", "a text of some length", context="a")
    position %= len(sealed)
    changed = sealed[:position] + letter + sealed[position + 1 :]
    if changed == sealed:
        return
    with pytest.raises(SealBroken):
        KEYRING.open("transport", changed, context="a")


@pytest.mark.parametrize("nonsense", ["", ".", "1", "1.", "1.AAAA", "x.AAAA", "9" * 40, "²."])
def test_nonsense_is_refused(nonsense: str) -> None:
    with pytest.raises(SealBroken):
        KEYRING.open("transport", nonsense, context="a")


def test_a_rotated_keyring_opens_old_values_and_seals_under_the_new_key() -> None:
    old = KEYRING.seal("transport", "text", context="a")
    rotated = KEYRING.rotated()
    new = rotated.seal("transport", "text", context="a")
    assert rotated.open_text("transport", old, context="a") == "text"
    assert (old[:2], new[:2]) == ("1.", "2.")
    with pytest.raises(SealBroken):
        KEYRING.open("transport", new, context="a")


def test_fingerprints_survive_a_rotation_and_differ_by_purpose() -> None:
    first = KEYRING.fingerprint("email", "a@b.c")
    assert KEYRING.rotated().fingerprint("email", "a@b.c") == first
    assert KEYRING.fingerprint("username", "a@b.c") != first
    assert Keyring.generate().fingerprint("email", "a@b.c") != first


def test_a_keyring_file_is_private_and_loads_again(tmp_path: Path) -> None:
    path = tmp_path / "master.json"
    KEYRING.rotated().save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    sealed = KEYRING.seal("transport", "text", context="a")
    assert Keyring.load(path).open_text("transport", sealed, context="a") == "text"
    assert Keyring.load(path).current == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.json"]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666, 0o620])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.json"
    KEYRING.save(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="0600"):
        Keyring.load(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"format":1,"current":1,"keys":{"1":"AAAA"}}',
        '{"format":2,"current":1,"keys":{}}',
        '{"format":1,"current":2,"keys":{"1":"%s"}}' % ("A" * 43),
        '{"format":1,"current":1,"keys":{"one":"%s"}}' % ("A" * 43),
    ],
)
def test_a_broken_key_file_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError) as refused:
        Keyring.load(path)
    assert "AAAA" not in str(refused.value)


def test_a_missing_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot read"):
        Keyring.load(tmp_path / "absent.json")


def test_a_node_opens_what_is_sealed_for_it_and_nothing_else(tmp_path: Path) -> None:
    KEYRING.rotated().node_key("node-1").save(tmp_path / "node.json")
    node = NodeKey.load(tmp_path / "node.json")
    sealed = KEYRING.seal("node:node-1", "secret", context="kernel-1")
    assert node.open_text(sealed, context="kernel-1") == "secret"
    for other in ("node:node-2", "transport"):
        with pytest.raises(SealBroken):
            node.open(KEYRING.seal(other, "secret", context="kernel-1"), context="kernel-1")
    answer = node.seal("answer", context="kernel-1")
    with pytest.raises(SealBroken):
        KEYRING.open("node:node-1", answer, context="kernel-1")  # sealed under version 2


def test_the_keyring_opens_what_a_node_seals() -> None:
    answer = KEYRING.node_key("node-1").seal("answer", context="kernel-1")
    assert KEYRING.open_text("node:node-1", answer, context="kernel-1") == "answer"


def test_keys_do_not_show_in_their_text_form() -> None:
    person = PersonKey.generate("somebody")
    assert str(person.secret) not in f"{person!r} {person}"
    assert repr(KEYRING) == "<Keyring current=1 versions=[1]>"


def test_a_person_s_text_opens_only_for_that_person_and_field() -> None:
    key = PersonKey.generate("user-1")
    sealed = seal_text(key, "email", "kim@example.org")
    assert open_text(key, "email", sealed) == "kim@example.org"
    for wrong in (key._replace(user_id="user-2"), PersonKey.generate("user-1")):
        with pytest.raises(SealBroken):
            open_text(wrong, "email", sealed)
    with pytest.raises(SealBroken):
        open_text(key, "username", sealed)


async def test_persons_keys_are_asked_for_once_and_erased_ones_are_none() -> None:
    asked: list[tuple[str, ...]] = []
    keys = {f"user-{n}": PersonKey.generate(f"user-{n}") for n in range(3)}

    async def fetch(user_ids: tuple[str, ...]) -> dict[str, str | None]:
        asked.append(user_ids)
        return {
            user_id: keys[user_id].wrap(KEYRING) if user_id in keys else None
            for user_id in user_ids
        }

    persons = PersonKeys(KEYRING, fetch, capacity=3)
    assert await persons.get(["user-0", "user-1", "user-0"]) == {
        "user-0": keys["user-0"],
        "user-1": keys["user-1"],
    }
    assert await persons.get(["user-0", "erased"]) == {"user-0": keys["user-0"], "erased": None}
    persons.forget("user-0")
    await persons.get(["user-0", "erased", "user-1"])
    assert asked == [("user-0", "user-1"), ("erased",), ("user-0",)]


async def test_the_cache_of_persons_keys_is_bounded() -> None:
    asked: list[tuple[str, ...]] = []

    async def fetch(user_ids: tuple[str, ...]) -> dict[str, str | None]:
        asked.append(user_ids)
        return {}

    persons = PersonKeys(KEYRING, fetch, capacity=2)
    await persons.get(["a", "b", "c"])
    await persons.get(["b", "c"])
    await persons.get(["a"])
    assert asked == [("a", "b", "c"), ("a",)]
