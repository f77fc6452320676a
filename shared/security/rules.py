"""The rule for passwords, the same on every path into the system."""

import re
from typing import Final

from shared.kernel.rejections import FieldError

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 256
_LETTER = re.compile(r"[A-Za-z]")
_DIGIT = re.compile(r"[0-9]")
_SPECIAL = re.compile(r"[^A-Za-z0-9]")


def check_password(password: str, field: str = "password") -> FieldError | None:
    """Return what is wrong with a new password, or None when it may be used.

    It needs 8 to 256 characters with an ASCII letter, a digit and a special character (anything
    that is neither an ASCII letter nor a digit).
    """
    if len(password) < MIN_LENGTH:
        return FieldError(field, "too_short", f"A password needs {MIN_LENGTH} characters or more.")
    if len(password) > MAX_LENGTH:
        return FieldError(field, "too_long", f"A password has at most {MAX_LENGTH} characters.")
    if not password.isprintable():
        return FieldError(field, "control_character", "A password holds no control characters.")
    if not _LETTER.search(password):
        return FieldError(field, "no_letter", "A password needs a letter (A to Z).")
    if not _DIGIT.search(password):
        return FieldError(field, "no_digit", "A password needs a digit.")
    if not _SPECIAL.search(password):
        return FieldError(field, "no_special", "A password needs a special character such as '!'.")
    return None
