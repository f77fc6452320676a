"""Sealing: AES-256-GCM under keys derived from the installation's versioned master keys.

A sealed value reads `<key version>.<base64url of nonce and ciphertext>`. Its key comes from a
master key by HKDF-SHA256 for one *purpose* ("transport", "keypair-secret", "environ",
"node:<agent>"); its *context* (whose value it is) is authenticated, so a value that was moved to
another row does not open.

    keyring = Keyring.load(path)                      # the launcher made the file, mode 0600
    sealed = keyring.seal("transport", token, context=user_id)
    token = keyring.open_text("transport", sealed, context=user_id)

Rotation (`rotation`) adds a version to the file: new values use it, old values still open under
theirs. Whoever loaded the file before notices by itself: at the next value that is sealed, or at
the first that it is to open under a version it does not know. A node never gets the master keys,
only `keyring.node_key(agent_id)`, which seals and opens exactly what the keyring seals for the
purpose `node:<agent>`.
"""

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from shared.contracts.base import Sealed
from shared.observability.logging import get_logger
from shared.security import key_file
from shared.security.aes import KEY_BYTES, SealBroken, aes_open, aes_seal, hkdf_sha256, version_of
from shared.security.key_file import KeyFile, KeyFileError

__all__ = ["KeyFileError", "Keyring", "NodeKey", "SealBroken"]

_DERIVED_MAX: Final = 4096
logger = get_logger(__name__)


class _VersionedKeys:
    """Secret keys by version, of which one is current; perhaps from a file that may gain more."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        key_file.check(keys, current)
        self._keys = dict(keys)
        self._path: Path | None = None
        self._stamp: tuple[int, ...] | None = None
        self.current = current

    def __repr__(self) -> str:
        """Return the versions; the keys themselves are never shown."""
        return f"<{type(self).__name__} current={self.current} versions={sorted(self._keys)}>"

    def follow(self, path: Path, stamp: tuple[int, ...] | None) -> Self:
        """Take in from now on what the file at `path` gains after its state `stamp`."""
        self._path, self._stamp = path, stamp
        return self

    def refresh(self) -> None:
        """Take in what the file has gained since it was last read; costs a look at its date.

        A file that is gone, broken, or of other keys is refused, and told once in the log: what
        is known already stays in force.
        """
        if self._path is None:
            return
        stamp = key_file.stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            found = key_file.read(self._path)
            self._take(found)
        except KeyFileError as problem:
            logger.error("key_file_refused", problem=str(problem))  # noqa: TRY400  # nothing to trace
        else:
            logger.info("key_file_read", current=self.current, versions=sorted(self._keys))

    def _take(self, found: KeyFile) -> None:
        is_kept = all(found.keys.get(version) == key for version, key in self._keys.items())
        if not is_kept or min(found.keys) != min(self._keys):
            raise KeyFileError(f"the key file {self._path} is not the one that was, with more keys")
        self._keys = dict(found.keys)
        self.current = found.current

    def _file(self, agent_id: str | None = None) -> KeyFile:
        return KeyFile(self._keys, self.current, agent_id)

    def _version(self, sealed: Sealed) -> int:
        version = version_of(sealed)
        if version not in self._keys:
            self.refresh()
        if version not in self._keys:
            raise SealBroken(f"the key of version {version} is gone")
        return version


class NodeKey(_VersionedKeys):
    """What one node may open: values sealed for the purpose `node:<agent>`, and no others."""

    def __init__(self, agent_id: str, keys: Mapping[int, bytes], current: int) -> None:
        super().__init__(keys, current)
        self.agent_id = agent_id

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Load a node's key file; KeyFileError when it is missing, open to others or broken."""
        stamp = key_file.stamp(Path(path))
        found = key_file.read(Path(path))
        if found.agent_id is None:
            raise KeyFileError(f"the key file {path} names no agent")
        return cls(found.agent_id, found.keys, found.current).follow(Path(path), stamp)

    def save(self, path: Path | str) -> None:
        """Write the key file (mode 0600), replacing an older one atomically."""
        key_file.write(Path(path), self._file(self.agent_id))

    def seal(self, plaintext: bytes | str, *, context: str) -> Sealed:
        """Seal for this node; the keyring opens it with purpose `node:<agent>`."""
        self.refresh()
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

    def _take(self, found: KeyFile) -> None:
        if found.agent_id != self.agent_id:
            raise KeyFileError(f"the key file {self._path} is of another agent")
        super()._take(found)


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
        stamp = key_file.stamp(Path(path))
        found = key_file.read(Path(path))
        if found.agent_id is not None:
            raise KeyFileError(f"the key file {path} is a node's, not the master keys'")
        return cls(found.keys, found.current).follow(Path(path), stamp)

    def save(self, path: Path | str) -> None:
        """Write the key file (mode 0600), replacing an older one atomically."""
        key_file.write(Path(path), self._file())

    @property
    def newest(self) -> int:
        """The highest version; it is not the current one while a rotation is under way."""
        return max(self._keys)

    def staged(self) -> Self:
        """Return this keyring with one more master key, which nothing is sealed with yet."""
        keys = {**self._keys, self.newest + 1: secrets.token_bytes(KEY_BYTES)}
        return type(self)(keys, self.current)

    def advanced(self) -> Self:
        """Return this keyring with its newest master key as the current one."""
        return type(self)(self._keys, self.newest)

    def rotated(self) -> Self:
        """Return this keyring with one more master key, which becomes the current one."""
        return self.staged().advanced()

    def seal(self, purpose: str, plaintext: bytes | str, *, context: str) -> Sealed:
        """Seal under the current master key for one purpose, bound to `context`."""
        self.refresh()
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
        self.refresh()
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
