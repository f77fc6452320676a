"""Sealing: AES-256-GCM under keys derived from the installation's versioned master keys.

A sealed value reads `<key version>.<base64url of nonce and ciphertext>`. Its key comes from a
master key by HKDF-SHA256 for one *purpose* ("transport", "keypair-secret", "environ",
"node:<agent>"); its *context* (whose value it is) is authenticated, so a value that was moved to
another row does not open.

    keyring = Keyring.load(path)                      # the launcher made the file, mode 0600
    sealed = keyring.seal("transport", token, context=user_id)
    token = keyring.open_text("transport", sealed, context=user_id)

Rotation adds a version: new values use it, old values still open under theirs. A node never gets
the master keys, only `keyring.node_key(agent_id)`, which seals and opens exactly what the keyring
seals for the purpose `node:<agent>`.
"""

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.contracts.base import Sealed

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FILE_FORMAT: Final = 1
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
_DERIVED_MAX: Final = 4096


class SealBroken(Exception):  # noqa: N818  # reads as what happened, like the other outcomes
    """A sealed value does not open: altered, of another purpose or context, or its key is gone."""


class KeyFileError(Exception):
    """A key file is missing, unreadable, open to others, or not what it should be."""


class _KeyFile(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of a key file; keys are base64url without padding, by version."""

    format: int
    current: int
    keys: dict[str, str]
    agent_id: str | None = None


def encode64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode64(text: str) -> bytes:
    """Return the bytes of strict, canonical base64url without padding; ValueError otherwise."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode64(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


def hkdf_sha256(key: bytes, info: str) -> bytes:
    """Derive 32 bytes for `info` from a uniformly random key (RFC 5869, no salt, one block)."""
    extracted = hmac.digest(b"\0" * 32, key, "sha256")
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256")


def aes_seal(version: int, key: bytes, label: str, plaintext: bytes) -> Sealed:
    """Seal under one AES-256 key; `label` is authenticated together with the version."""
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(key).encrypt(nonce, plaintext, f"{version}\0{label}".encode())
    return f"{version}.{encode64(nonce + ciphertext)}"


def aes_open(version: int, key: bytes, label: str, sealed: Sealed) -> bytes:
    """Open what `aes_seal` made; SealBroken when anything differs."""
    prefix, _, text = sealed.partition(".")
    try:
        raw = decode64(text)
        if prefix != str(version):
            raise SealBroken(f"sealed under key version {prefix[:8]!r}, not {version}")
        return AESGCM(key).decrypt(
            raw[:NONCE_BYTES], raw[NONCE_BYTES:], f"{version}\0{label}".encode()
        )
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise SealBroken("a sealed value does not open") from error


def version_of(sealed: Sealed) -> int:
    """Return the key version of a sealed value; SealBroken when it has none."""
    prefix = sealed.partition(".")[0]
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 6):
        raise SealBroken("a sealed value names no key version")
    return int(prefix)


def _read(path: Path) -> _KeyFile:
    try:
        mode = path.stat().st_mode
        raw = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyFileError(f"the key file {path} is open to others: set its mode to 0600")
    try:
        content = msgspec.json.decode(raw, type=_KeyFile)
    except msgspec.DecodeError as error:
        raise KeyFileError(f"the key file {path} is not a key file") from error
    if content.format != FILE_FORMAT:
        raise KeyFileError(f"the key file {path} has the unknown format {content.format}")
    return content


def _write(path: Path, content: _KeyFile) -> None:
    """Write a new file or replace one atomically; it is never readable by others."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


class _VersionedKeys:
    """Secret keys by version, of which one is current."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        if current not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
            raise KeyFileError("a key file needs 32-byte keys and a current version among them")
        self._keys = dict(keys)
        self.current = current

    def __repr__(self) -> str:
        """Return the versions; the keys themselves are never shown."""
        return f"<{type(self).__name__} current={self.current} versions={sorted(self._keys)}>"

    def _content(self) -> _KeyFile:
        keys = {str(version): encode64(key) for version, key in sorted(self._keys.items())}
        return _KeyFile(format=FILE_FORMAT, current=self.current, keys=keys)

    def _version(self, sealed: Sealed) -> int:
        version = version_of(sealed)
        if version not in self._keys:
            raise SealBroken(f"the key of version {version} is gone")
        return version


def _parse_keys(path: Path, content: _KeyFile) -> dict[int, bytes]:
    try:
        return {int(version): decode64(text) for version, text in content.keys.items()}
    except ValueError as error:
        raise KeyFileError(f"the key file {path} holds something that is not a key") from error


class NodeKey(_VersionedKeys):
    """What one node may open: values sealed for the purpose `node:<agent>`, and no others."""

    def __init__(self, agent_id: str, keys: Mapping[int, bytes], current: int) -> None:
        super().__init__(keys, current)
        self.agent_id = agent_id

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Load a node's key file; KeyFileError when it is missing, open to others or broken."""
        content = _read(Path(path))
        if content.agent_id is None:
            raise KeyFileError(f"the key file {path} names no agent")
        return cls(content.agent_id, _parse_keys(Path(path), content), content.current)

    def save(self, path: Path | str) -> None:
        """Write the key file (mode 0600), replacing an older one atomically."""
        _write(Path(path), msgspec.structs.replace(self._content(), agent_id=self.agent_id))

    def seal(self, plaintext: bytes | str, *, context: str) -> Sealed:
        """Seal for this node; the keyring opens it with purpose `node:<agent>`."""
        raw = plaintext.encode() if isinstance(plaintext, str) else plaintext
        label = _label(f"node:{self.agent_id}", context)
        return aes_seal(self.current, self._keys[self.current], label, raw)

    def open(self, sealed: Sealed, *, context: str) -> bytes:
        """Open what was sealed for this node; SealBroken otherwise."""
        version = self._version(sealed)
        label = _label(f"node:{self.agent_id}", context)
        return aes_open(version, self._keys[version], label, sealed)

    def open_text(self, sealed: Sealed, *, context: str) -> str:
        """Open a text that was sealed for this node; SealBroken otherwise."""
        return self.open(sealed, context=context).decode()


def _label(purpose: str, context: str) -> str:
    if "\0" in purpose:
        raise ValueError("a purpose holds no NUL")
    return f"{purpose}\0{context}"


class Keyring(_VersionedKeys):
    """The installation's master keys, held by the services; see the module's text for use."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        super().__init__(keys, current)
        self._derived: dict[tuple[int, str], bytes] = {}

    @classmethod
    def generate(cls) -> Self:
        """Return a keyring with one new random master key, version 1."""
        return cls({1: secrets.token_bytes(KEY_BYTES)}, 1)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Load the key file; KeyFileError when it is missing, open to others or broken."""
        content = _read(Path(path))
        return cls(_parse_keys(Path(path), content), content.current)

    def save(self, path: Path | str) -> None:
        """Write the key file (mode 0600), replacing an older one atomically."""
        _write(Path(path), self._content())

    def rotated(self) -> Self:
        """Return this keyring with one more master key, which becomes the current one."""
        version = max(self._keys) + 1
        return type(self)({**self._keys, version: secrets.token_bytes(KEY_BYTES)}, version)

    def seal(self, purpose: str, plaintext: bytes | str, *, context: str) -> Sealed:
        """Seal under the current master key for one purpose, bound to `context`."""
        raw = plaintext.encode() if isinstance(plaintext, str) else plaintext
        key = self._key(self.current, purpose)
        return aes_seal(self.current, key, _label(purpose, context), raw)

    def open(self, purpose: str, sealed: Sealed, *, context: str) -> bytes:
        """Open what was sealed for this purpose and context; SealBroken otherwise."""
        version = self._version(sealed)
        return aes_open(version, self._key(version, purpose), _label(purpose, context), sealed)

    def open_text(self, purpose: str, sealed: Sealed, *, context: str) -> str:
        """Open a text that was sealed for this purpose and context; SealBroken otherwise."""
        return self.open(purpose, sealed, context=context).decode()

    def fingerprint(self, purpose: str, value: str) -> str:
        """Return the keyed hash (HMAC-SHA256, hex) by which equal values are found.

        It uses the oldest master key for ever, so that rotation does not change it.
        """
        key = self._key(min(self._keys), f"fingerprint:{purpose}")
        return hmac.digest(key, value.encode(), "sha256").hex()

    def node_key(self, agent_id: str) -> NodeKey:
        """Return what the node `agent_id` is given instead of this keyring."""
        purpose = f"node:{agent_id}"
        keys = {version: self._key(version, purpose) for version in self._keys}
        return NodeKey(agent_id, keys, self.current)

    def _key(self, version: int, purpose: str) -> bytes:
        known = self._derived.get((version, purpose))
        if known is None:
            if len(self._derived) >= _DERIVED_MAX:
                self._derived.clear()
            known = hkdf_sha256(self._keys[version], f"quartermaster/{purpose}")
            self._derived[version, purpose] = known
        return known
