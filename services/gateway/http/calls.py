"""One request on its way through the gateway: what the edge found out about it."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from services.gateway.auth.authenticator import NOT_AUTHENTICATED
from services.gateway.auth.principals import Principal
from services.gateway.auth.rate_limits import Allowance
from services.gateway.http.bodies import check_body, read_body
from services.gateway.http.problems import Refused, malformed
from shared.contracts.base import Meta
from shared.kernel.rejections import Rejection

T = TypeVar("T")
SCOPE_KEY: Final = "qm.call"
_JSON: Final = ("application/json", "application/merge-patch+json")


class Call(msgspec.Struct, kw_only=True):
    """A request. `refusal` says why the credentials that were offered are no good."""

    request_id: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    client_address: str | None
    body: bytes = b""
    principal: Principal | None = None
    refusal: Rejection | None = None
    allowance: Allowance | None = None

    def caller(self) -> Principal:
        """Return who calls; raises Refused (401) when nobody proved who they are."""
        if self.principal is None:
            raise Refused(self.refusal or NOT_AUTHENTICATED)
        return self.principal

    def meta(self) -> Meta:
        """Return what the events of this request shall carry."""
        return Meta(
            actor=self.caller().actor(),
            correlation_id=self.request_id,
            request_id=self.request_id,
            client_address=self.client_address,
        )

    def json(self, kind: type[T]) -> T:
        """Decode the body strictly; raises Refused (400, 415)."""
        content_type = self.headers.get("content-type", _JSON[0]).partition(";")[0].strip().lower()
        if content_type not in _JSON:
            message = f"The body must be application/json, not '{content_type[:64]}'."
            raise Refused(malformed("unsupported_media_type", message), status=415)
        check_body(self.body)
        return read_body(self.body, kind)


def call_of(scope: Mapping[str, Any]) -> Call:
    """Return the call that the edge put into an ASGI scope."""
    call: Call = scope[SCOPE_KEY]
    return call
