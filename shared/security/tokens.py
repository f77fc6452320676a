"""Secrets that we hand out: bearer tokens and keypairs."""

import base64
import hashlib
import re
import secrets
from typing import Final

TOKEN_PREFIX: Final = "qmt_"  # noqa: S105  # a prefix that scanners can find, not a token
_TOKEN = re.compile(r"qmt_[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Return a new bearer token: 256 random bits behind a recognisable prefix."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Tell whether `text` has the shape of a bearer token."""
    return _TOKEN.fullmatch(text) is not None


def token_hash(token: str) -> str:
    """Return what is kept of a token: its SHA-256 in hex (it needs no salt at 256 bits)."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_access_key() -> str:
    """Return a new access key: `AKIA` and 16 base32 characters (80 random bits)."""
    return "AKIA" + base64.b32encode(secrets.token_bytes(10)).decode()


def new_secret_key() -> str:
    """Return a new secret key: 40 characters of base64url (240 random bits)."""
    return secrets.token_urlsafe(30)
