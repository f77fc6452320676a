"""From the headers of a request to a Principal: signature, bearer token or cookie.

Everything is decided in memory. What was offered and is no good is a Rejection; nothing offered is
None, and the route decides whether that matters.
"""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

from services.gateway.auth.directory import Directory, KnownUser
from services.gateway.auth.principals import Method, Principal
from services.gateway.auth.secrets import KeypairSecrets
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection
from shared.security.nonces import NonceCache
from shared.security.signatures import RequestParts, parse, verify
from shared.security.tokens import is_token, token_hash

COOKIE: Final = "qm_session"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def _unauthenticated(code: str, message: str) -> Rejection:
    return Rejection(kind="unauthenticated", code=code, message=message)


NOT_AUTHENTICATED: Final = _unauthenticated(
    "not_authenticated", "Log in, or send a token or a signature."
)
TOKEN_INVALID: Final = _unauthenticated(
    "token_invalid", "This token is unknown, over or revoked; log in again."
)
SIGNATURE_INVALID: Final = _unauthenticated("signature_invalid", "The signature is not right.")
CROSS_SITE: Final = Rejection(
    kind="forbidden",
    code="cross_site_request",
    message="A change that relies on the console's cookie must come from the console itself.",
)


class Authenticator:
    """Decides who a request comes from."""

    def __init__(
        self, directory: Directory, secrets: KeypairSecrets, nonces: NonceCache, clock: Clock
    ) -> None:
        self._directory = directory
        self._secrets = secrets
        self._nonces = nonces
        self._clock = clock

    async def authenticate(self, request: RequestParts) -> Principal | Rejection | None:
        """Return the caller, why what they offered is refused, or None when they offer nothing."""
        headers = request.headers
        if "signature-input" in headers or "signature" in headers:
            return await self._by_signature(request)
        authorization = headers.get("authorization")
        if authorization is not None:
            return self._by_bearer(authorization)
        token = _cookie(headers.get("cookie"))
        if token is None:
            return None
        if request.method not in _SAFE_METHODS and not is_own_site(headers):
            return CROSS_SITE
        return self._by_token(token, "cookie")

    def _by_bearer(self, authorization: str) -> Principal | Rejection:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return _unauthenticated("scheme_unknown", "Authorization is 'Bearer <token>' here.")
        return self._by_token(token.strip(), "token")

    def _by_token(self, token: str, method: Method) -> Principal | Rejection:
        if not is_token(token):
            return TOKEN_INVALID
        login = self._directory.login(token_hash(token), self._clock.now())
        user = self._directory.users.get(login.user_id) if login is not None else None
        if login is None or user is None or user.status != "active":
            return TOKEN_INVALID
        return _principal(user, method, login_id=login.id)

    async def _by_signature(self, request: RequestParts) -> Principal | Rejection:
        parsed = parse(request)
        if isinstance(parsed, Rejection):
            return parsed
        secret: str | None = None
        if parsed.keyid in self._directory.keypairs:
            found = self._secrets.cached(parsed.keyid) or await self._secrets.of(parsed.keyid)
            if isinstance(found, Rejection):
                return found
            secret = found
        now = self._clock.now().timestamp()
        verified = verify(request, parsed, secret, now=now, nonces=self._nonces)
        if isinstance(verified, Rejection):
            return verified
        # the caller holds the secret, so from here on it may be told what is wrong with the key;
        # it is looked up only now, as it may have changed while its secret was asked for
        keypair = self._directory.keypairs.get(parsed.keyid)
        user = self._directory.users.get(keypair.user_id) if keypair is not None else None
        if keypair is None or user is None:
            self._secrets.forget(parsed.keyid)
            return SIGNATURE_INVALID
        if keypair.status != "active":
            return _unauthenticated("keypair_inactive", "This keypair is not active.")
        if user.status != "active":
            return _unauthenticated("user_inactive", "The user of this keypair is not active.")
        return _principal(user, "signature", access_key=keypair.access_key)


def _principal(
    user: KnownUser,
    method: Method,
    *,
    access_key: str | None = None,
    login_id: str | None = None,
) -> Principal:
    return Principal(
        user_id=user.id,
        role=user.role,
        domain=user.domain,
        method=method,
        access_key=access_key,
        login_id=login_id,
    )


def _cookie(header: str | None) -> str | None:
    if header is None or COOKIE not in header:
        return None
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None


def is_own_site(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser says that our own page made the request (or no browser did)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN_SITES
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")
