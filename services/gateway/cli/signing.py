"""Signing requests with a keypair, as programs do (RFC 9421)."""

from collections.abc import Generator

import httpx

from shared.security.signatures import RequestParts, sign


class KeypairSignature(httpx.Auth):
    """Signs each request; the secret key itself is never sent."""

    requires_request_body = True

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._access_key = access_key
        self._secret_key = secret_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature's headers to the request."""
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        parts = RequestParts(
            request.method,
            request.headers["host"],
            path,
            query,
            body=request.content,
            scheme=request.url.scheme,
        )
        request.headers.update(
            sign(parts, access_key=self._access_key, secret_key=self._secret_key)
        )
        yield request
