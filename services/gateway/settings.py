"""What the gateway needs to know besides what every service does."""

from shared.runtime.settings import Settings


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """`public_https` says that clients reach it through TLS: cookies are then marked so.

    `visible_within_s` is how long the answer to a write waits for the read models to show it;
    after that it is 202.
    """

    public_https: bool = False
    visible_within_s: float = 0.5
