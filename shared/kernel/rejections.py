"""Refusals are values: one shape from the domain to the problem+json answer (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec

RejectionKind = Literal[
    "malformed",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "too_large",
    "invalid",
    "rate_limited",
    "unavailable",
]

HTTP_STATUS: Final[dict[RejectionKind, HTTPStatus]] = {
    "malformed": HTTPStatus.BAD_REQUEST,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request; `field` is a dotted path."""

    field: str
    code: str
    message: str


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was refused; nothing has changed.

    `code` is stable and machine-readable, `message` tells a person what was wrong and what to do.
    `details` carries numbers and references for programs and holds nothing secret.
    """

    kind: RejectionKind
    code: str
    message: str
    errors: tuple[FieldError, ...] = ()
    details: dict[str, Any] = {}
    retry_after_s: int | None = None


def invalid(field: str, code: str, message: str) -> Rejection:
    """Return the refusal of one field that is well-formed but breaks a rule."""
    return Rejection(
        kind="invalid",
        code="invalid_request",
        message=message,
        errors=(FieldError(field, code, message),),
    )


def all_invalid(errors: tuple[FieldError, ...], named: frozenset[str] = frozenset()) -> Rejection:
    """Return one refusal that lists every field that breaks a rule.

    When all that is wrong is one of the `named` rules, the refusal bears its code.
    """
    message = " ".join(error.message for error in errors)
    codes = {error.code for error in errors}
    code = codes.pop() if len(codes) == 1 and codes <= named else "invalid_request"
    return Rejection(kind="invalid", code=code, message=message, errors=errors)


def conflict(code: str, message: str, **details: Any) -> Rejection:
    """Return a refusal because of what already exists."""
    return Rejection(kind="conflict", code=code, message=message, details=details)


def not_found(what: str, key: str) -> Rejection:
    """Return a refusal because `what` named `key` does not exist, or not in the caller's sight."""
    message = f"There is no {what.replace('_', ' ')} '{key}'."
    return Rejection(kind="not_found", code=f"{what}_not_found", message=message)


def unavailable(code: str, message: str, retry_after_s: int = 1) -> Rejection:
    """Return a refusal that will pass: the caller may try again after `retry_after_s`."""
    return Rejection(kind="unavailable", code=code, message=message, retry_after_s=retry_after_s)
