"""How long the policies of keypairs let sessions live, and since when each session counts."""

from collections.abc import Collection
from datetime import datetime

from services.scheduler.domain.deadlines import Lifetime, lifetime_end
from services.scheduler.domain.scopes import keypair_scope
from services.scheduler.domain.session import Session

UNLIMITED = Lifetime()


class Lifetimes:
    """The lifetime of each keypair's sessions, who waits under it, and when sessions were made.

    Sessions whose beginning was not told have no end here.
    """

    def __init__(self) -> None:
        self._of_scope: dict[str, Lifetime] = {}
        self._created: dict[str, datetime] = {}
        self._waiting: dict[str, set[str]] = {}

    def set(self, scope: str, lifetime: Lifetime) -> bool:
        """Take over how long sessions of a keypair may live; tell whether that is new."""
        if self._of_scope.get(scope, UNLIMITED) == lifetime:
            return False
        self._of_scope[scope] = lifetime
        return True

    def entered(self, session: Session, at: datetime) -> None:
        """Note that a session has become what it is at a moment."""
        if session.status == "PENDING":
            self._created.setdefault(session.session_id, at)
            self._waiting.setdefault(_scope_of(session), set()).add(session.session_id)
        else:
            self._leave(session)

    def closed(self, session: Session) -> None:
        """Forget a session that is over."""
        self._created.pop(session.session_id, None)
        self._leave(session)

    def waiting(self, scope: str) -> Collection[str]:
        """Return who waits under a keypair."""
        return self._waiting.get(scope, ())

    def of(self, session: Session) -> Lifetime:
        """Return how long a session may live."""
        return self._of_scope.get(_scope_of(session), UNLIMITED)

    def end_of(self, session: Session, started_at: datetime | None) -> datetime | None:
        """Return when the lifetime of a session is over; `started_at` None: it does not run."""
        created_at = self._created.get(session.session_id)
        return lifetime_end(session, self.of(session), created_at, started_at)

    def _leave(self, session: Session) -> None:
        scope = _scope_of(session)
        waiting = self._waiting.get(scope)
        if waiting is not None:
            waiting.discard(session.session_id)
            if not waiting:
                del self._waiting[scope]


def _scope_of(session: Session) -> str:
    access_key = session.request.access_key
    return "" if access_key is None else keypair_scope(access_key)
