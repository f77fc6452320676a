"""Strict decoding of request bodies: wrong JSON, types and unknown fields are named 400s."""

import re
from typing import Any, Final, TypeVar

import msgspec

from services.gateway.http.problems import Refused, malformed
from shared.kernel.rejections import FieldError

T = TypeVar("T")
BODY_BYTES_MAX: Final = 1_048_576
_PATH = re.compile(r" - at `\$(?:\.)?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may say; a field that is not listed is refused."""


def read_body(raw: bytes, kind: type[T]) -> T:
    """Decode a request's body; raises Refused (400) that names the field."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(_explain(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = "The body is not valid JSON."
        raise Refused(malformed("malformed_json", message)) from error
    except RecursionError as error:
        message = "The body is nested too deeply."
        raise Refused(malformed("malformed_json", message)) from error


def _explain(text: str) -> Any:
    match = _PATH.search(text)
    path = match["path"] if match else ""
    message = text[: match.start()] if match else text
    for pattern, code in ((_UNKNOWN, "unknown_field"), (_MISSING, "required")):
        named = pattern.search(message)
        if named:
            field = f"{path}.{named['name']}" if path else named["name"]
            return malformed("malformed_body", message, (FieldError(field, code, message),))
    errors = (FieldError(path, "wrong_type", message),)
    return malformed("malformed_body", f"{path or 'body'}: {message}", errors)
