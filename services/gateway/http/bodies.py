"""Request bodies, read within bounds and decoded strictly.

Wrong JSON, wrong types and unknown fields are 400s that name the field.
"""

import re
from typing import Final, TypeVar

import msgspec

from services.gateway.http.problems import Refused, malformed
from shared.kernel.rejections import FieldError, Rejection
from shared.runtime.http import Message, Receive

T = TypeVar("T")
BODY_BYTES_MAX: Final = 1_048_576
_PATH = re.compile(r" - at `\$(?:\.)?(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request may say; a field that is not listed is refused."""


def check_body(raw: bytes) -> None:
    """Refuse a NUL in any text: no table and no command line can hold it."""
    if b"\\u0000" not in raw:
        return
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the strict decoding says what is wrong
    if "\0" in repr(content).replace("\\x00", "\0"):
        raise Refused(malformed("malformed_body", "The body holds a NUL character in a text."))


def read_body(raw: bytes, kind: type[T]) -> T:
    """Decode a request's body; raises Refused (400) that names the field."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(explain(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = "The body is not valid JSON."
        raise Refused(malformed("malformed_json", message)) from error
    except RecursionError as error:
        message = "The body is nested too deeply."
        raise Refused(malformed("malformed_json", message)) from error


def explain(text: str) -> Rejection:
    """Return the refusal (400) for what msgspec says about a body; it names the field."""
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


async def receive_body(content_length: str, receive: Receive) -> bytes | None:
    """Read a whole body, None when the caller hangs up; raises Refused (413) beyond the limit.

    A body that says it is too large is refused before any of it is read.
    """
    if content_length.isdigit() and int(content_length[:20]) > BODY_BYTES_MAX:
        raise Refused(_too_large())
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > BODY_BYTES_MAX:
            raise Refused(_too_large())
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large() -> Rejection:
    return Rejection(
        kind="too_large",
        code="body_too_large",
        message=f"A request's body is at most {BODY_BYTES_MAX} bytes.",
        details={"limit": BODY_BYTES_MAX},
    )


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once more and then what really comes."""
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
