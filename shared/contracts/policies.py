"""policies: keypair, user and project resource policies, presets."""

from typing import ClassVar, Literal, TypeAlias

from shared.contracts.base import Event, Limits, Slots

Unspecified = Literal["limited", "unlimited"]


class KeypairPolicyCreated(Event, frozen=True, tag="KeypairPolicyCreated"):
    """Limits for whoever works with a keypair; null is unlimited everywhere."""

    AGGREGATE: ClassVar[str] = "keypair-policy"
    name: str
    is_default: bool = False
    default_for_unspecified: Unspecified = "unlimited"
    total_resource_slots: Limits = {}
    max_session_lifetime: int | None = None
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


class PresetDefined(Event, frozen=True, tag="PresetDefined"):
    """A named request that users may choose; `resource_group` null is for every group."""

    AGGREGATE: ClassVar[str] = "preset"
    preset_id: str
    name: str
    resource_slots: Slots
    shared_memory: int | None = None
    resource_group: str | None = None

    def key(self) -> str:
        """Return the preset's id."""
        return self.preset_id


PoliciesEvent: TypeAlias = (
    KeypairPolicyCreated | UserPolicyCreated | ProjectPolicyCreated | PresetDefined
)
