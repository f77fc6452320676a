"""AES-256-GCM under one key, as text: `<key version>.<base64url of nonce and ciphertext>`."""

import base64
import binascii
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.contracts.base import Sealed

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_VERSION_DIGITS_MAX: Final = 6


class SealBroken(Exception):  # noqa: N818  # reads as what happened, like the other outcomes
    """A sealed value does not open: altered, of another purpose or context, or its key is gone."""


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
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= _VERSION_DIGITS_MAX):
        raise SealBroken("a sealed value names no key version")
    return int(prefix)
