"""Every refusal as one shape: application/problem+json (RFC 9457)."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from shared.kernel.rejections import HTTP_STATUS, FieldError, Rejection

PROBLEM_TYPE: Final = "application/problem+json"
_RESERVED: Final = frozenset(
    {"type", "title", "status", "detail", "code", "request_id", "errors", "retry_after"}
)


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer with a status of 400 or more; `code` is stable, for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] = []


class Refused(Exception):  # noqa: N818  # it is an answer, not an error of ours
    """Ends a request with a refusal; raised at the edge of HTTP only, never in the domain."""

    def __init__(self, rejection: Rejection, *, status: int | None = None) -> None:
        super().__init__(rejection.code)
        self.rejection = rejection
        self.status = status if status is not None else int(HTTP_STATUS[rejection.kind])


def malformed(code: str, message: str, errors: tuple[FieldError, ...] = ()) -> Rejection:
    """Return the refusal of a request that cannot be understood."""
    return Rejection(kind="malformed", code=code, message=message, errors=errors)


def problem_body(rejection: Rejection, status: int, request_id: str) -> bytes:
    """Render a refusal; its details become further members of the problem."""
    body: dict[str, Any] = {
        "type": f"urn:quartermaster:problem:{rejection.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": rejection.message,
        "code": rejection.code,
        "request_id": request_id,
    }
    if rejection.errors:
        body["errors"] = rejection.errors
    details = rejection.details.items()
    body.update({name: value for name, value in details if name not in _RESERVED})
    return msgspec.json.encode(body)


def problem_headers(rejection: Rejection, status: int) -> list[tuple[str, str]]:
    """Return the headers that belong to a refusal, but Content-Type."""
    headers = [("cache-control", "no-store")]
    if rejection.retry_after_s is not None:
        headers.append(("retry-after", str(max(1, rejection.retry_after_s))))
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", 'Bearer realm="quartermaster"'))
    return headers


def of_status(status: int, detail: str) -> Rejection:
    """Return the refusal for an error that the HTTP machinery found before any handler ran."""
    kind, code = _BY_STATUS.get(status, ("malformed", "bad_request"))
    return Rejection(kind=kind, code=code, message=detail)  # type: ignore[arg-type]  # table below


_BY_STATUS: Final = {
    400: ("malformed", "bad_request"),
    401: ("unauthenticated", "not_authenticated"),
    403: ("forbidden", "forbidden"),
    404: ("not_found", "route_not_found"),
    405: ("malformed", "method_not_allowed"),
    413: ("too_large", "body_too_large"),
    415: ("malformed", "unsupported_media_type"),
    429: ("rate_limited", "rate_limited"),
    500: ("unavailable", "internal_error"),
    503: ("unavailable", "unavailable"),
}
