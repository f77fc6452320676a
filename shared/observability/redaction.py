"""Keeps secrets and personal data out of log lines, whoever wrote them.

Two nets: fields whose name says that they are secret or personal are replaced, at any depth; and in
every text, exceptions included, what looks like an e-mail address, one of our tokens, an
authorization value or a password in a URL is replaced.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

HIDDEN: Final = "[hidden]"
_DEPTH: Final = 6
_ITEMS: Final = 50
_SECRET_NAME = re.compile(
    r"passw(or)?d|secret|token|authorization|cookie|credential|api_?key|private_?key|master_?key"
    r"|person_?key|signature|sealed|\botp\b|^otp$|totp|e-?mail|full_?name|user_?name|^environ$",
    re.IGNORECASE,
)
_PATTERNS: Final = (
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), HIDDEN),
    (re.compile(r"qmt_[A-Za-z0-9_-]{8,}"), HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(\w+://[^\s:/@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"\$argon2id\$[^\s'\"]+"), HIDDEN),
)


def redact_text(text: str) -> str:
    """Return a text in which everything that looks secret or personal is replaced."""
    if "@" not in text and "qmt_" not in text and "$argon2" not in text and " " not in text:
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact(value: object, name: str = "", depth: int = 0) -> object:
    """Return a loggable copy of a value: plain JSON types, bounded in depth and in width."""
    if name and _SECRET_NAME.search(name) and not isinstance(value, bool | int | None):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= _DEPTH:
        return "..."
    if isinstance(value, Mapping):
        return {
            str(key): redact(item, str(key), depth + 1)
            for key, item in list(value.items())[:_ITEMS]
        }
    if isinstance(value, list | tuple | set | frozenset):
        return _redact_items(value, depth)
    return redact_text(str(value))


def _redact_items(values: Iterable[object], depth: int) -> list[object]:
    return [redact(item, "", depth + 1) for item in list(values)[:_ITEMS]]
