"""Which policies exist, folded from the events of the policies service."""

from shared.contracts.policies import (
    KeypairPolicyCreated,
    ProjectPolicyCreated,
    UserPolicyCreated,
)
from shared.eventlog.records import Recorded
from shared.kernel.rejections import Rejection, unavailable
from shared.observability.health import Check


class KnownPolicies:
    """A replica of what the users service must know about policies."""

    def __init__(self) -> None:
        self._user_policies: set[str] = set()
        self._keypair_policies: set[str] = set()
        self._project_policies: set[str] = set()
        self._default_keypair_policy: str | None = None

    def apply(self, _source: str, recorded: Recorded) -> None:
        """Take in one event of the policies service."""
        event = recorded.event
        if isinstance(event, UserPolicyCreated):
            self._user_policies.add(event.name)
        elif isinstance(event, ProjectPolicyCreated):
            self._project_policies.add(event.name)
        elif isinstance(event, KeypairPolicyCreated):
            self._keypair_policies.add(event.name)
            if event.is_default:
                self._default_keypair_policy = event.name

    @property
    def is_seeded(self) -> bool:
        """Tell whether the policies service has made its defaults; before, nothing is decided."""
        return (
            self._default_keypair_policy is not None
            and bool(self._user_policies)
            and bool(self._project_policies)
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

    def has_user_policy(self, name: str) -> bool:
        """Tell whether a user policy may be assigned."""
        return name in self._user_policies

    def has_keypair_policy(self, name: str) -> bool:
        """Tell whether a keypair policy may be assigned."""
        return name in self._keypair_policies

    def has_project_policy(self, name: str) -> bool:
        """Tell whether a project policy may be assigned."""
        return name in self._project_policies
