"""Key files: JSON, 0600, replaced in one step; a file only ever gains versions.

    {"format": 1, "current": 2, "keys": {"1": "…", "2": "…"}}

A node's file names its agent besides.
"""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from shared.security.aes import KEY_BYTES, decode64, encode64

FORMAT: Final = 1
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP


class KeyFileError(Exception):
    """A key file is missing, unreadable, open to others, or not what it should be."""


class KeyFile(NamedTuple):
    """What a key file holds; `agent_id` is None in the file of the master keys."""

    keys: Mapping[int, bytes]
    current: int
    agent_id: str | None = None

    def __repr__(self) -> str:
        """Return the versions; the keys themselves are never shown."""
        return f"<KeyFile current={self.current} versions={sorted(self.keys)}>"


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of a key file; keys are base64url without padding, by version."""

    format: int
    current: int
    keys: dict[str, str]
    agent_id: str | None = None


def stamp(path: Path) -> tuple[int, ...] | None:
    """Return what differs as soon as the file is another one or has changed; None: no file."""
    try:
        found = os.stat(path)  # noqa: PTH116  # for each value that is sealed: the shortest way
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)


def read(path: Path) -> KeyFile:
    """Read a key file; KeyFileError when it is missing, open to others or broken."""
    try:
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyFileError(f"the key file {path} is open to others: set its mode to 0600")
    try:
        content = msgspec.json.decode(raw, type=_Content)
    except msgspec.DecodeError as error:
        raise KeyFileError(f"the key file {path} is not a key file") from error
    if content.format != FORMAT:
        raise KeyFileError(f"the key file {path} has the unknown format {content.format}")
    try:
        keys = {int(version): decode64(text) for version, text in content.keys.items()}
    except ValueError as error:
        raise KeyFileError(f"the key file {path} holds something that is not a key") from error
    check(keys, content.current)
    return KeyFile(keys, content.current, content.agent_id)


def check(keys: Mapping[int, bytes], current: int) -> None:
    """Raise KeyFileError for keys that cannot be sealed with."""
    if current not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
        raise KeyFileError("a key file needs 32-byte keys and a current version among them")


def write(path: Path, file: KeyFile) -> None:
    """Write a new file or replace one in one step, durably; it is never readable by others.

    Who owned the file that is replaced owns the new one.
    """
    keys = {str(version): encode64(key) for version, key in sorted(file.keys.items())}
    content = _Content(format=FORMAT, current=file.current, keys=keys, agent_id=file.agent_id)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as opened:
            _keep_owner(opened.fileno(), path)
            opened.write(msgspec.json.encode(content))
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _keep_owner(handle: int, path: Path) -> None:
    try:
        before = path.stat()
    except FileNotFoundError:
        return
    now = os.fstat(handle)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(handle, before.st_uid, before.st_gid)


def _sync_directory(directory: Path) -> None:
    """Make the new name durable: what is sealed from now on must find its key after a crash."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
