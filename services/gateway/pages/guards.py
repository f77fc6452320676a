"""What every page answers with, and which posts are not even looked at."""

from typing import Any, Final

from litestar import Request, Response

from services.gateway.auth.authenticator import CROSS_SITE, is_own_site
from services.gateway.http.calls import call_of
from services.gateway.http.problems import Refused

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Vary": "HX-Request, Accept-Language, Cookie",
}
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def same_site(request: Request[Any, Any, Any]) -> None:
    """Refuse a post that a browser says comes from another site; raises Refused (403).

    The authenticator does so for whoever brings the console's cookie; a log-in brings none yet.
    """
    call = call_of(request.scope)
    if call.method not in _SAFE_METHODS and not is_own_site(call.headers):
        raise Refused(CROSS_SITE)


def protect(response: Response[Any]) -> Response[Any]:
    """Add to an answer what keeps other sites out of the page, and the page out of caches."""
    present = {name.lower() for name in response.headers}
    for name, value in HEADERS.items():
        if name.lower() not in present:
            response.headers[name] = value
    return response
