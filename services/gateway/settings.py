"""What the gateway needs to know besides what every service does."""

from shared.runtime.settings import Settings


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """`public_https` says that clients reach it through TLS: cookies are then marked so."""

    public_https: bool = False
