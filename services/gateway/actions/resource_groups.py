"""Creating, changing and deleting resource groups."""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import given
from services.gateway.http.problems import Refused
from services.gateway.reads.sessions import RESOURCE_GROUPS
from services.gateway.writes import Written
from shared.contracts.base import Sealed
from shared.contracts.kernels import SessionType
from shared.contracts.scheduler import (
    ALL_SESSION_TYPES,
    AgentSelection,
    ChangeResourceGroup,
    CreateResourceGroup,
    DeleteResourceGroup,
    SchedulerType,
)
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict
from shared.security.app_proxy import seal_proxy_token

READ_ONLY: Final = frozenset({"id", "name", "has_wsproxy_api_token", "created_at", "modified_at"})
TOKEN_MAX: Final = 128
REFERENCES_MAX: Final = 20
Names = tuple[str, ...] | UnsetType | None
# what a group names -> what one of those is called, and where they are
_NAMED: Final = {
    "allowed_domains": ("domain", "select id from domains where id = any($1::text[])"),
    "allowed_projects": ("project", "select id from projects where id = any($1::text[])"),
    "allowed_keypairs": ("keypair", "select id from keypairs where id = any($1::text[])"),
}
_PRESETS: Final = "select id from presets where resource_group = $1 order by name, id"


class CreateResourceGroupBody(Body, frozen=True, kw_only=True):
    """A new group; its name is its identity for ever. Times in seconds, 0 and null are never.

    `scheduler` and `retries_to_skip` are as in the settings unless given. `allowed_domains` null
    is every domain; without it, projects or keypairs that are named are all that may enter.
    """

    name: str
    description: str = ""
    is_active: bool = True
    is_public: bool = True
    is_default: bool = False
    scheduler: SchedulerType | None = None
    retries_to_skip: int | None = None
    pending_timeout: int | None = None
    allowed_session_types: tuple[SessionType, ...] = ALL_SESSION_TYPES
    agent_selection_strategy: AgentSelection = "dispersed"
    allow_fractional_resource_fragmentation: bool = True
    wsproxy_addr: str | None = None
    wsproxy_api_token: str | None = None
    allowed_domains: Names = UNSET
    allowed_projects: tuple[str, ...] = ()
    allowed_keypairs: tuple[str, ...] = ()


class PatchResourceGroupBody(Body, frozen=True, kw_only=True):
    """What can be changed of a group: a merge patch; lists are given whole."""

    description: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    scheduler: SchedulerType | UnsetType = UNSET
    retries_to_skip: int | UnsetType | None = UNSET
    pending_timeout: int | UnsetType | None = UNSET
    allowed_session_types: tuple[SessionType, ...] | UnsetType = UNSET
    agent_selection_strategy: AgentSelection | UnsetType = UNSET
    allow_fractional_resource_fragmentation: bool | UnsetType = UNSET
    wsproxy_addr: str | UnsetType | None = UNSET
    wsproxy_api_token: str | UnsetType | None = UNSET
    allowed_domains: Names = UNSET
    allowed_projects: Names = UNSET
    allowed_keypairs: Names = UNSET


async def create_resource_group(
    gateway: Gateway, call: Call, body: CreateResourceGroupBody, key: CommandKey | None = None
) -> Written:
    """Create a group."""
    await _check(gateway, body, {})
    token = _sealed(gateway, body.name, body.wsproxy_api_token)
    command = CreateResourceGroup(
        name=body.name,
        description=body.description,
        is_active=body.is_active,
        is_public=body.is_public,
        is_default=body.is_default,
        scheduler=body.scheduler,
        retries_to_skip=body.retries_to_skip,
        pending_timeout=body.pending_timeout,
        allowed_session_types=body.allowed_session_types,
        agent_selection_strategy=body.agent_selection_strategy,
        allow_fractional_resource_fragmentation=body.allow_fractional_resource_fragmentation,
        wsproxy_addr=body.wsproxy_addr or None,
        wsproxy_api_token=None if isinstance(token, UnsetType) else token,
        allowed_domains=body.allowed_domains,
        allowed_projects=body.allowed_projects,
        allowed_keypairs=body.allowed_keypairs,
    )
    return await gateway.writes.perform(call, command, key)


async def patch_resource_group(
    gateway: Gateway,
    call: Call,
    name: str,
    body: PatchResourceGroupBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a group; its next scheduling pass goes by it."""
    found = await _found(gateway, call, name)
    await _check(gateway, body, found)
    command = ChangeResourceGroup(
        name=name,
        description=given(body.description, ""),
        is_active=body.is_active,
        is_public=body.is_public,
        is_default=body.is_default,
        scheduler=body.scheduler,
        retries_to_skip=body.retries_to_skip,
        pending_timeout=body.pending_timeout,
        allowed_session_types=body.allowed_session_types,
        agent_selection_strategy=body.agent_selection_strategy,
        allow_fractional_resource_fragmentation=body.allow_fractional_resource_fragmentation,
        wsproxy_addr=body.wsproxy_addr,
        wsproxy_api_token=_sealed(gateway, name, body.wsproxy_api_token),
        allowed_domains=body.allowed_domains,
        allowed_projects=given(body.allowed_projects, ()),
        allowed_keypairs=given(body.allowed_keypairs, ()),
    )
    return await gateway.writes.perform(call, command, key)


async def delete_resource_group(
    gateway: Gateway, call: Call, name: str, key: CommandKey | None = None
) -> Written:
    """Delete a group that nothing refers to; its presets are told here, the rest by the service."""
    await _found(gateway, call, name)
    presets = await gateway.reads.pool.fetch(_PRESETS, name)
    if presets:
        message = f"The group {name} has presets of its own; delete them first."
        some = [{"type": "preset", "id": row["id"]} for row in presets[:REFERENCES_MAX]]
        refusal = conflict("resource_group_in_use", message, count=len(presets), references=some)
        raise Refused(refusal)
    return await gateway.writes.perform(call, DeleteResourceGroup(name=name), key)


async def _found(gateway: Gateway, call: Call, name: str) -> dict[str, Any]:
    found = await gateway.reads.decoded(RESOURCE_GROUPS, call.caller(), name)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found


async def _check(
    gateway: Gateway,
    body: CreateResourceGroupBody | PatchResourceGroupBody,
    before: dict[str, Any],
) -> None:
    """See that whoever is newly allowed exists, and that the token can be kept; raises Refused."""
    errors: list[FieldError] = []
    for field, (noun, sql) in _NAMED.items():
        wanted: Names = getattr(body, field)
        if not isinstance(wanted, tuple):
            continue
        new = sorted(set(wanted) - set(before.get(field) or ()))
        known = {row[0] for row in await gateway.reads.pool.fetch(sql, new)} if new else set()
        errors.extend(
            FieldError(field, f"unknown_{noun}", f"There is no {noun} '{key[:64]}'.")
            for key in new
            if key not in known
        )
    token = body.wsproxy_api_token
    if isinstance(token, str) and not (len(token) <= TOKEN_MAX and token.isprintable()):
        text = f"A token has at most {TOKEN_MAX} characters, none of them a control character."
        errors.append(FieldError("wsproxy_api_token", "token", text))
    if errors:
        raise Refused(all_invalid(tuple(errors)))


def _sealed(
    gateway: Gateway, name: str, token: str | UnsetType | None
) -> Sealed | UnsetType | None:
    if isinstance(token, str) and token:
        return seal_proxy_token(gateway.keyring, name, token)
    return None if isinstance(token, str) else token
