"""Resource groups as clients see them."""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from shared.contracts.kernels import SessionType
from shared.contracts.scheduler import AgentSelection, SchedulerType


class ResourceGroupDocument(msgspec.Struct, kw_only=True):
    """Agents under a name, with a scheduler of their own; `pending_timeout` in seconds, 0 never.

    `retries_to_skip` null is as in the settings; `allowed_domains` null is every domain. The app
    proxy and who is allowed are shown to those who see all groups, the proxy's token to nobody.
    """

    id: str
    name: str
    description: str
    is_active: bool
    is_public: bool
    is_default: bool
    scheduler: SchedulerType
    retries_to_skip: int | None
    pending_timeout: int | None
    allowed_session_types: list[SessionType]
    agent_selection_strategy: AgentSelection
    allow_fractional_resource_fragmentation: bool
    wsproxy_addr: str | UnsetType | None = UNSET
    has_wsproxy_api_token: bool | UnsetType = UNSET
    allowed_domains: list[str] | UnsetType | None = UNSET
    allowed_projects: list[str] | UnsetType = UNSET
    allowed_keypairs: list[str] | UnsetType = UNSET
    created_at: datetime
    modified_at: datetime
