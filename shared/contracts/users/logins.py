"""Log-in sessions: events and commands. Of a token only its hash appears."""

from datetime import datetime
from typing import ClassVar, TypeAlias

from shared.contracts.base import Command, Event, Sealed
from shared.contracts.users.types import LoginEnd


class LoginEvent(Event, frozen=True):
    """What the events of a log-in session have in common."""

    AGGREGATE: ClassVar[str] = "login"
    login_id: str
    user_id: str

    def key(self) -> str:
        """Return the log-in session's id."""
        return self.login_id


class LoginStarted(LoginEvent, frozen=True, tag="LoginStarted"):
    """A bearer token was issued; only its SHA-256 (hex) is kept."""

    token_hash: str
    expires_at: datetime


class LoginEnded(LoginEvent, frozen=True, tag="LoginEnded"):
    """A bearer token is no longer good."""

    reason: LoginEnd


class UserLoginBlocked(Event, frozen=True, tag="UserLoginBlocked"):
    """Too many wrong passwords (or codes) in a row: nobody logs in as this user until `until`."""

    AGGREGATE: ClassVar[str] = "user"
    user_id: str
    until: datetime

    def key(self) -> str:
        """Return the user's id."""
        return self.user_id


class LogIn(Command, frozen=True, tag="LogIn"):
    """Check a password (and a one-time password where there is one) and issue a bearer token.

    The result holds `user_id`, `login_id`, `sealed_token` (transport key) and `expires_at`.
    """

    SERVICE: ClassVar = "users"
    email: str
    sealed_password: Sealed
    otp: str | None = None


class LogOut(Command, frozen=True, tag="LogOut"):
    """End one log-in session of a user."""

    SERVICE: ClassVar = "users"
    login_id: str
    user_id: str
    reason: LoginEnd = "logout"


LoginsEvent: TypeAlias = LoginStarted | LoginEnded | UserLoginBlocked
LoginsCommand: TypeAlias = LogIn | LogOut
