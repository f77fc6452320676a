"""Creating, changing and deleting keypair policies."""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from services.gateway.actions.limits import (
    TOTAL,
    HostsPatch,
    RawHosts,
    RawLimits,
    hosts_of,
    limits_of,
    patched_hosts,
)
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.policies import KEYPAIR_POLICIES
from services.gateway.writes import Written
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    CreateKeypairPolicy,
    DeletePolicy,
    LifetimeBase,
    Unspecified,
)
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection
from shared.kernel.slots import Limits

READ_ONLY: Final = frozenset({"id", "name", "created_at", "modified_at"})
PENDING_SLOTS: Final = "max_pending_session_resource_slots"


class CreateKeypairPolicyBody(Body, frozen=True, kw_only=True):
    """A new keypair policy; its name is its identity for ever. What is absent is unlimited.

    As the default it takes the place of the one that was. `max_session_lifetime` counts from the
    start of a session, or with `lifetime_base` `created` while it waits as well.
    """

    name: str
    is_default: bool = False
    default_for_unspecified: Unspecified = "unlimited"
    total_resource_slots: RawLimits = {}
    max_session_lifetime: int | None = None
    lifetime_base: LifetimeBase = "started"
    max_concurrent_sessions: int | None = None
    max_pending_session_count: int | None = None
    max_pending_session_resource_slots: RawLimits = {}
    max_concurrent_sftp_sessions: int | None = None
    max_containers_per_session: int | None = None
    idle_timeout: int | None = None
    allowed_hosts: RawHosts = {}
    max_priority: int | None = None


class PatchKeypairPolicyBody(Body, frozen=True, kw_only=True):
    """What can be changed of a keypair policy: a merge patch.

    A slot that is null is unlimited, whatever `default_for_unspecified` says of absent ones.
    """

    is_default: bool | UnsetType = UNSET
    default_for_unspecified: Unspecified | UnsetType = UNSET
    total_resource_slots: RawLimits | UnsetType | None = UNSET
    max_session_lifetime: int | UnsetType | None = UNSET
    lifetime_base: LifetimeBase | UnsetType = UNSET
    max_concurrent_sessions: int | UnsetType | None = UNSET
    max_pending_session_count: int | UnsetType | None = UNSET
    max_pending_session_resource_slots: RawLimits | UnsetType | None = UNSET
    max_concurrent_sftp_sessions: int | UnsetType | None = UNSET
    max_containers_per_session: int | UnsetType | None = UNSET
    idle_timeout: int | UnsetType | None = UNSET
    allowed_hosts: HostsPatch | UnsetType | None = UNSET
    max_priority: int | UnsetType | None = UNSET


async def create_keypair_policy(
    gateway: Gateway, call: Call, body: CreateKeypairPolicyBody, key: CommandKey | None = None
) -> Written:
    """Create a keypair policy."""
    command = CreateKeypairPolicy(
        name=body.name,
        is_default=body.is_default,
        default_for_unspecified=body.default_for_unspecified,
        total_resource_slots=limits_of(body.total_resource_slots),
        max_session_lifetime=body.max_session_lifetime,
        lifetime_base=body.lifetime_base,
        max_concurrent_sessions=body.max_concurrent_sessions,
        max_pending_session_count=body.max_pending_session_count,
        max_pending_session_resource_slots=limits_of(
            body.max_pending_session_resource_slots, PENDING_SLOTS
        ),
        max_concurrent_sftp_sessions=body.max_concurrent_sftp_sessions,
        max_containers_per_session=body.max_containers_per_session,
        idle_timeout=body.idle_timeout,
        allowed_hosts=hosts_of(body.allowed_hosts),
        max_priority=body.max_priority,
    )
    return await gateway.writes.perform(call, command, key)


async def patch_keypair_policy(
    gateway: Gateway,
    call: Call,
    name: str,
    body: PatchKeypairPolicyBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a keypair policy."""
    found = await gateway.reads.decoded(KEYPAIR_POLICIES, call.caller(), name)
    if isinstance(found, Rejection):
        raise Refused(found)
    return await gateway.writes.perform(call, keypair_policy_change(found, body), key)


def keypair_policy_change(
    found: dict[str, Any], body: PatchKeypairPolicyBody
) -> ChangeKeypairPolicy:
    """Return the command that a patch of a policy means; raises Refused (422)."""
    return ChangeKeypairPolicy(
        name=found["name"],
        is_default=body.is_default,
        default_for_unspecified=body.default_for_unspecified,
        total_resource_slots=_merged(found, TOTAL, body.total_resource_slots),
        max_session_lifetime=body.max_session_lifetime,
        lifetime_base=body.lifetime_base,
        max_concurrent_sessions=body.max_concurrent_sessions,
        max_pending_session_count=body.max_pending_session_count,
        max_pending_session_resource_slots=_merged(
            found, PENDING_SLOTS, body.max_pending_session_resource_slots
        ),
        max_concurrent_sftp_sessions=body.max_concurrent_sftp_sessions,
        max_containers_per_session=body.max_containers_per_session,
        idle_timeout=body.idle_timeout,
        allowed_hosts=patched_hosts(found, body.allowed_hosts),
        max_priority=body.max_priority,
    )


async def delete_keypair_policy(
    gateway: Gateway, call: Call, name: str, key: CommandKey | None = None
) -> Written:
    """Delete a keypair policy that nothing uses."""
    return await gateway.writes.perform(call, DeletePolicy(kind="keypair", name=name), key)


def _merged(
    found: dict[str, Any], field: str, patch: RawLimits | UnsetType | None
) -> Limits | UnsetType:
    if isinstance(patch, UnsetType):
        return UNSET
    return {} if patch is None else limits_of({**found[field], **patch}, field)
