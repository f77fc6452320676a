"""One-time passwords (RFC 6238): SHA-1, 6 digits, steps of 30 s, as every authenticator app has.

    seed = new_seed()                                  # 160 random bits, kept sealed
    uri = provisioning_uri(render_seed(seed), "kim@example.org")
    step = matching_step(seed, code, now, after=last)  # None: wrong, or used before

A code is good in its own step and the ones beside it, for clocks that are a little off. Whoever
accepts one keeps its step, and no code of that step or an older one is good again.
"""

import base64
import binascii
import re
import secrets
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

DIGITS: Final = 6
STEP_S: Final = 30
WINDOW: Final = 1
SEED_BYTES: Final = 20
ISSUER: Final = "Quartermaster"
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)
_SPACES = str.maketrans("", "", " \u00a0\t")


def new_seed() -> bytes:
    """Return a new seed: as many random bits as the hash has."""
    return secrets.token_bytes(SEED_BYTES)


def render_seed(seed: bytes) -> str:
    """Return a seed as people type it into an authenticator: base32 without padding."""
    return base64.b32encode(seed).rstrip(b"=").decode()


def parse_seed(text: str) -> bytes:
    """Return the seed that `render_seed` rendered; ValueError for anything else."""
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError("not base32") from error


def step_at(moment: datetime) -> int:
    """Return the step that a moment lies in, counted since 1970."""
    return int(moment.timestamp()) // STEP_S


def code_at(seed: bytes, step: int) -> str:
    """Return the code of one step."""
    return _generator(seed).generate(step * STEP_S).decode()


def matching_step(seed: bytes, code: str, moment: datetime, *, after: int = -1) -> int | None:
    """Return the step whose code this is, or None: it is wrong, too old, too new, or used.

    `after` is the last step that was accepted. Every step of the window is compared, in constant
    time, and the newest that fits counts, so that no older one is left to be used.
    """
    code = code.translate(_SPACES)
    if not _CODE.fullmatch(code):
        return None
    generator, now = _generator(seed), step_at(moment)
    found = None
    for step in range(max(0, now - WINDOW), now + WINDOW + 1):
        try:
            generator.verify(code.encode(), step * STEP_S)
        except InvalidToken:
            continue
        found = step
    return found if found is not None and found > after else None


def provisioning_uri(rendered_seed: str, account: str, issuer: str = ISSUER) -> str:
    """Return the `otpauth://` address that authenticators read, mostly from a picture."""
    return _generator(parse_seed(rendered_seed)).get_provisioning_uri(account, issuer)


def _generator(seed: bytes) -> TOTP:
    return TOTP(seed, DIGITS, SHA1(), STEP_S)  # noqa: S303  # what authenticators know
