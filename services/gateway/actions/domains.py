"""Creating and changing domains."""

from typing import Final

from msgspec import UNSET, UnsetType

from services.gateway.actions.limits import (
    HostsPatch,
    RawHosts,
    RawLimits,
    hosts_of,
    limits_of,
    patched_hosts,
    patched_limits,
)
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import given
from services.gateway.http.problems import Refused
from services.gateway.reads.tenancy import DOMAINS
from services.gateway.writes import Written
from shared.contracts.users import ChangeDomain, CreateDomain
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

READ_ONLY: Final = frozenset({"id", "name", "created_at", "modified_at"})


class CreateDomainBody(Body, frozen=True, kw_only=True):
    """A new domain; its name is its identity for ever. Slots that are absent are unlimited."""

    name: str
    description: str = ""
    is_active: bool = True
    allowed_hosts: RawHosts = {}
    total_resource_slots: RawLimits = {}


class PatchDomainBody(Body, frozen=True, kw_only=True):
    """What can be changed of a domain: a merge patch."""

    description: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    allowed_hosts: HostsPatch | UnsetType | None = UNSET
    total_resource_slots: RawLimits | UnsetType | None = UNSET


async def create_domain(
    gateway: Gateway, call: Call, body: CreateDomainBody, key: CommandKey | None = None
) -> Written:
    """Create a domain."""
    command = CreateDomain(
        name=body.name,
        description=body.description,
        is_active=body.is_active,
        allowed_hosts=hosts_of(body.allowed_hosts),
        total_resource_slots=limits_of(body.total_resource_slots),
    )
    return await gateway.writes.perform(call, command, key)


async def patch_domain(
    gateway: Gateway, call: Call, name: str, body: PatchDomainBody, key: CommandKey | None = None
) -> Written:
    """Change what is given of a domain."""
    found = await gateway.reads.decoded(DOMAINS, call.caller(), name)
    if isinstance(found, Rejection):
        raise Refused(found)
    command = ChangeDomain(
        name=name,
        description=given(body.description, ""),
        is_active=body.is_active,
        allowed_hosts=patched_hosts(found, body.allowed_hosts),
        total_resource_slots=patched_limits(found, body.total_resource_slots),
    )
    return await gateway.writes.perform(call, command, key)
