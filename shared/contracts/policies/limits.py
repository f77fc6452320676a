"""Resource policies of keypairs, users and projects. Null is unlimited everywhere, 0 is zero."""

from typing import ClassVar, Literal, TypeAlias

from msgspec import UNSET, UnsetType

from shared.contracts.base import Command, Event, Limits

Unspecified = Literal["limited", "unlimited"]
LifetimeBase = Literal["created", "started"]
PolicyKind = Literal["keypair", "user", "project"]


class KeypairPolicyCreated(Event, frozen=True, tag="KeypairPolicyCreated"):
    """Limits for whoever works with a keypair; null is unlimited everywhere.

    `max_session_lifetime` counts from a session's creation or from its start (`lifetime_base`).
    """

    AGGREGATE: ClassVar[str] = "keypair-policy"
    name: str
    is_default: bool = False
    default_for_unspecified: Unspecified = "unlimited"
    total_resource_slots: Limits = {}
    max_session_lifetime: int | None = None
    lifetime_base: LifetimeBase = "started"
    max_concurrent_sessions: int | None = None
    max_pending_session_count: int | None = None
    max_pending_session_resource_slots: Limits = {}
    max_concurrent_sftp_sessions: int | None = None
    max_containers_per_session: int | None = None
    idle_timeout: int | None = None
    allowed_hosts: dict[str, tuple[str, ...]] = {}
    max_priority: int | None = None

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class KeypairPolicyChanged(Event, frozen=True, tag="KeypairPolicyChanged"):
    """Something about a keypair policy is different; what is absent has not changed.

    When another policy becomes the default, one event says so and one that this no longer is.
    """

    AGGREGATE: ClassVar[str] = "keypair-policy"
    name: str
    is_default: bool | UnsetType = UNSET
    default_for_unspecified: Unspecified | UnsetType = UNSET
    total_resource_slots: Limits | UnsetType = UNSET
    max_session_lifetime: int | UnsetType | None = UNSET
    lifetime_base: LifetimeBase | UnsetType = UNSET
    max_concurrent_sessions: int | UnsetType | None = UNSET
    max_pending_session_count: int | UnsetType | None = UNSET
    max_pending_session_resource_slots: Limits | UnsetType = UNSET
    max_concurrent_sftp_sessions: int | UnsetType | None = UNSET
    max_containers_per_session: int | UnsetType | None = UNSET
    idle_timeout: int | UnsetType | None = UNSET
    allowed_hosts: dict[str, tuple[str, ...]] | UnsetType = UNSET
    max_priority: int | UnsetType | None = UNSET

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class KeypairPolicyDeleted(Event, frozen=True, tag="KeypairPolicyDeleted"):
    """A keypair policy that nothing used is gone; a later one may have its name."""

    AGGREGATE: ClassVar[str] = "keypair-policy"
    name: str

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class UserPolicyCreated(Event, frozen=True, tag="UserPolicyCreated"):
    """Limits of one user across all keypairs."""

    AGGREGATE: ClassVar[str] = "user-policy"
    name: str
    max_folder_count: int | None = None
    max_quota_scope_size: int | None = None
    max_session_count_per_model_session: int | None = None
    max_customized_image_count: int | None = None

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class UserPolicyChanged(Event, frozen=True, tag="UserPolicyChanged"):
    """Something about a user policy is different; what is absent has not changed."""

    AGGREGATE: ClassVar[str] = "user-policy"
    name: str
    max_folder_count: int | UnsetType | None = UNSET
    max_quota_scope_size: int | UnsetType | None = UNSET
    max_session_count_per_model_session: int | UnsetType | None = UNSET
    max_customized_image_count: int | UnsetType | None = UNSET

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class UserPolicyDeleted(Event, frozen=True, tag="UserPolicyDeleted"):
    """A user policy that nothing used is gone; a later one may have its name."""

    AGGREGATE: ClassVar[str] = "user-policy"
    name: str

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class ProjectPolicyCreated(Event, frozen=True, tag="ProjectPolicyCreated"):
    """Limits of one project."""

    AGGREGATE: ClassVar[str] = "project-policy"
    name: str
    max_folder_count: int | None = None
    max_quota_scope_size: int | None = None
    max_network_count: int | None = None

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class ProjectPolicyChanged(Event, frozen=True, tag="ProjectPolicyChanged"):
    """Something about a project policy is different; what is absent has not changed."""

    AGGREGATE: ClassVar[str] = "project-policy"
    name: str
    max_folder_count: int | UnsetType | None = UNSET
    max_quota_scope_size: int | UnsetType | None = UNSET
    max_network_count: int | UnsetType | None = UNSET

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class ProjectPolicyDeleted(Event, frozen=True, tag="ProjectPolicyDeleted"):
    """A project policy that nothing used is gone; a later one may have its name."""

    AGGREGATE: ClassVar[str] = "project-policy"
    name: str

    def key(self) -> str:
        """Return the policy's name."""
        return self.name


class CreateKeypairPolicy(Command, frozen=True, tag="CreateKeypairPolicy"):
    """Create a keypair policy; its name is its identity.

    As the default it takes the place of the one that was. Refused: `policy_exists` (409).
    """

    SERVICE: ClassVar = "policies"
    name: str
    is_default: bool = False
    default_for_unspecified: Unspecified = "unlimited"
    total_resource_slots: Limits = {}
    max_session_lifetime: int | None = None
    lifetime_base: LifetimeBase = "started"
    max_concurrent_sessions: int | None = None
    max_pending_session_count: int | None = None
    max_pending_session_resource_slots: Limits = {}
    max_concurrent_sftp_sessions: int | None = None
    max_containers_per_session: int | None = None
    idle_timeout: int | None = None
    allowed_hosts: dict[str, tuple[str, ...]] = {}
    max_priority: int | None = None


class ChangeKeypairPolicy(Command, frozen=True, tag="ChangeKeypairPolicy"):
    """Change what is given of a keypair policy.

    `total_resource_slots` and the other maps are given whole. `is_default` can be taken over, not
    given up: `default_needed` (409). `check_only`: refuse what would be refused, change nothing.
    """

    SERVICE: ClassVar = "policies"
    name: str
    is_default: bool | UnsetType = UNSET
    default_for_unspecified: Unspecified | UnsetType = UNSET
    total_resource_slots: Limits | UnsetType = UNSET
    max_session_lifetime: int | UnsetType | None = UNSET
    lifetime_base: LifetimeBase | UnsetType = UNSET
    max_concurrent_sessions: int | UnsetType | None = UNSET
    max_pending_session_count: int | UnsetType | None = UNSET
    max_pending_session_resource_slots: Limits | UnsetType = UNSET
    max_concurrent_sftp_sessions: int | UnsetType | None = UNSET
    max_containers_per_session: int | UnsetType | None = UNSET
    idle_timeout: int | UnsetType | None = UNSET
    allowed_hosts: dict[str, tuple[str, ...]] | UnsetType = UNSET
    max_priority: int | UnsetType | None = UNSET
    check_only: bool = False


class CreateUserPolicy(Command, frozen=True, tag="CreateUserPolicy"):
    """Create a user policy. Refused: `policy_exists` (409)."""

    SERVICE: ClassVar = "policies"
    name: str
    max_folder_count: int | None = None
    max_quota_scope_size: int | None = None
    max_session_count_per_model_session: int | None = None
    max_customized_image_count: int | None = None


class ChangeUserPolicy(Command, frozen=True, tag="ChangeUserPolicy"):
    """Change what is given of a user policy; `check_only`: only refuse what would be refused."""

    SERVICE: ClassVar = "policies"
    name: str
    max_folder_count: int | UnsetType | None = UNSET
    max_quota_scope_size: int | UnsetType | None = UNSET
    max_session_count_per_model_session: int | UnsetType | None = UNSET
    max_customized_image_count: int | UnsetType | None = UNSET
    check_only: bool = False


class CreateProjectPolicy(Command, frozen=True, tag="CreateProjectPolicy"):
    """Create a project policy. Refused: `policy_exists` (409)."""

    SERVICE: ClassVar = "policies"
    name: str
    max_folder_count: int | None = None
    max_quota_scope_size: int | None = None
    max_network_count: int | None = None


class ChangeProjectPolicy(Command, frozen=True, tag="ChangeProjectPolicy"):
    """Change what is given of a project policy; `check_only`: only refuse what would be refused."""

    SERVICE: ClassVar = "policies"
    name: str
    max_folder_count: int | UnsetType | None = UNSET
    max_quota_scope_size: int | UnsetType | None = UNSET
    max_network_count: int | UnsetType | None = UNSET
    check_only: bool = False


class DeletePolicy(Command, frozen=True, tag="DeletePolicy"):
    """Delete a policy that nothing uses, after the users service has retired its name.

    Refused: `policy_in_use` (409, with `references` and their `count`), `default_policy` (409).
    """

    SERVICE: ClassVar = "policies"
    kind: PolicyKind
    name: str


LimitsEvent: TypeAlias = (
    KeypairPolicyCreated
    | KeypairPolicyChanged
    | KeypairPolicyDeleted
    | UserPolicyCreated
    | UserPolicyChanged
    | UserPolicyDeleted
    | ProjectPolicyCreated
    | ProjectPolicyChanged
    | ProjectPolicyDeleted
)
LimitsCommand: TypeAlias = (
    CreateKeypairPolicy
    | ChangeKeypairPolicy
    | CreateUserPolicy
    | ChangeUserPolicy
    | CreateProjectPolicy
    | ChangeProjectPolicy
    | DeletePolicy
)
