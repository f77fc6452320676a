"""Which policies exist, folded from the events of the policies service."""

from msgspec import UNSET

from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    PolicyKind,
    ProjectPolicyCreated,
    ProjectPolicyDeleted,
    UserPolicyCreated,
    UserPolicyDeleted,
)
from shared.eventlog.records import Recorded
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.health import Check


class KnownPolicies:
    """A replica of what the users service must know about policies.

    It may be behind. Whether a policy may be given to somebody is decided by `assignments`.
    """

    def __init__(self) -> None:
        self._created: dict[PolicyKind, dict[str, int]] = {"keypair": {}, "user": {}, "project": {}}
        self._default_keypair_policy: str | None = None

    def apply(self, _source: str, recorded: Recorded) -> None:
        """Take in one event of the policies service."""
        event = recorded.event
        match event:
            case KeypairPolicyCreated():
                self._created["keypair"][event.name] = recorded.position
                if event.is_default:
                    self._default_keypair_policy = event.name
            case KeypairPolicyChanged(is_default=chosen) if chosen is not UNSET and chosen:
                # that the one before is no longer the default is told as well, and says nothing new
                self._default_keypair_policy = event.name
            case UserPolicyCreated():
                self._created["user"][event.name] = recorded.position
            case ProjectPolicyCreated():
                self._created["project"][event.name] = recorded.position
            case KeypairPolicyDeleted():
                self._created["keypair"].pop(event.name, None)
            case UserPolicyDeleted():
                self._created["user"].pop(event.name, None)
            case ProjectPolicyDeleted():
                self._created["project"].pop(event.name, None)

    @property
    def is_seeded(self) -> bool:
        """Tell whether the policies service has made its defaults; before, nothing is decided."""
        return self._default_keypair_policy is not None and all(
            self._created[kind] for kind in ("user", "project")
        )

    def check(self) -> Check:
        """Return the health: no user can be created before there are policies."""
        if self.is_seeded:
            return Check(state="ok")
        return Check(state="failed", detail="the policies service has not made its defaults yet")

    def unknown(self) -> Rejection | None:
        """Return the refusal of whatever names a policy before the policies are known."""
        if self.is_seeded:
            return None
        return unavailable("policies_unknown", "The policies are not known yet; try again.", 2)

    @property
    def default_keypair_policy(self) -> str | None:
        """Return the keypair policy that new keypairs get."""
        return self._default_keypair_policy

    def created(self, kind: PolicyKind, name: str) -> int | None:
        """Return the position at which a policy was created, None when there is none."""
        return self._created[kind].get(name)
