"""Which presets the caller could start a session of now: limits and agents, read together."""

from typing import Any, Final

import msgspec

from services.gateway.auth.principals import Principal
from services.gateway.documents.available import AvailablePreset, AvailablePresets
from services.gateway.documents.policies import PresetDocument
from services.gateway.http.parameters import ListQuery, SortKey
from services.gateway.reads.agent_room import Rooms, agent_rooms
from services.gateway.reads.effective_limits import (
    TENANTS,
    Chosen,
    charged_to,
    hides_tenants,
    shown,
)
from services.gateway.reads.models import ReadModels
from services.gateway.reads.preset_fit import (
    NO_PROJECT,
    Place,
    group_room,
    no_room,
    over_limit,
    remaining,
)
from services.gateway.reads.sessions import RESOURCE_GROUPS
from shared.contracts.scheduler import Reason
from shared.kernel.rejections import Rejection, not_found
from shared.kernel.slots import Slots, slots_of

GROUPS_MAX: Final = 100_000
_PRESETS: Final = (
    "select doc from presets where resource_group = any($1::text[]) order by name, resource_group"
)
_EVERYWHERE: Final = ""  # how the column says that a preset is for every group
_decode = msgspec.json.Decoder(PresetDocument).decode


async def available_presets(
    reads: ReadModels,
    principal: Principal,
    user: dict[str, Any],
    chosen: Chosen,
    group: str | None,
) -> AvailablePresets | Rejection:
    """Return the presets of every group and those of one that the caller sees, or of all of them.

    A group that is not there, or not seen, is refused (404).
    """
    places = await _places(reads, principal, group)
    if isinstance(places, Rejection):
        return places
    scopes = (await charged_to(reads, user, chosen)).session
    hidden = TENANTS if await hides_tenants(reads, principal) else frozenset()
    visible = [shown(scope, hidden) for scope in scopes]
    rows = await reads.pool.fetch(_PRESETS, [_EVERYWHERE, *(place.name for place in places)])

    def reason(slots: Slots, resource_group: str | None) -> Reason | None:
        if chosen.project is None:
            return NO_PROJECT
        within = [place for place in places if resource_group in {None, place.name}]
        return over_limit(slots, scopes, hidden) or no_room(slots, within)

    items = []
    for preset in [_decode(row[0]) for row in rows]:
        why = reason(slots_of(preset.resource_slots), preset.resource_group)
        members = msgspec.structs.asdict(preset)
        items.append(AvailablePreset(**members, allocatable=why is None, reason=why))
    return AvailablePresets(
        items=items,
        total=len(items),
        access_key=chosen.access_key,
        project=chosen.project,
        resource_group=group,
        remaining=dict(remaining(visible)),
        scopes=visible,
        resource_groups=[group_room(place) for place in places],
    )


async def _places(
    reads: ReadModels, principal: Principal, group: str | None
) -> list[Place] | Rejection:
    query = ListQuery(
        limit=GROUPS_MAX,
        sort=(SortKey("name", descending=False),),
        filters=() if group is None else (("id", (group,)),),
    )
    page = await reads.page(RESOURCE_GROUPS, principal, query)
    if isinstance(page, Rejection):
        return page
    rooms = await agent_rooms(reads)
    places = [
        Place(
            found["name"],
            found["is_active"],
            rooms.get(found["name"], Rooms()),
            found["allow_fractional_resource_fragmentation"],
        )
        for found in page.documents()
    ]
    return places if places or group is None else not_found("resource_group", group[:64])
