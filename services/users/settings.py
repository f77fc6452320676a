"""Settings of the users service beyond those that every service has."""

from shared.runtime.settings import Settings


class UsersSettings(Settings, frozen=True, kw_only=True):
    """`login_lifetime_s` is how long a bearer token is good; the rest is the cost of a password.

    The defaults of the latter are RFC 9106's second recommended choice.
    """

    login_lifetime_s: int = 7 * 24 * 3600
    password_memory_kib: int = 64 * 1024
    password_passes: int = 3
    password_lanes: int = 4
    password_workers: int = 2
    password_queue: int = 64
