"""Creating, changing and deleting presets."""

from typing import Any, Final

from msgspec import UNSET, UnsetType

from services.gateway.actions.limits import RawLimits, limits_of
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.patches import merged_map
from services.gateway.http.problems import Refused
from services.gateway.reads.policies import PRESETS
from services.gateway.writes import Written
from shared.contracts.policies import ChangePreset, DefinePreset, DeletePreset
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection, all_invalid
from shared.kernel.slots import Slots

READ_ONLY: Final = frozenset({"id", "name", "resource_group", "created_at", "modified_at"})
SLOTS: Final = "resource_slots"
UNKNOWN_GROUP: Final = "unknown_resource_group"


class CreatePresetBody(Body, frozen=True, kw_only=True):
    """A new preset; `resource_group` null is for every group. `shared_memory` is in bytes."""

    name: str
    resource_slots: RawLimits
    shared_memory: int | None = None
    resource_group: str | None = None


class PatchPresetBody(Body, frozen=True, kw_only=True):
    """What can be changed of a preset: a merge patch; a slot that is null is asked for no more."""

    resource_slots: RawLimits | UnsetType = UNSET
    shared_memory: int | UnsetType | None = UNSET


async def create_preset(
    gateway: Gateway, call: Call, body: CreatePresetBody, key: CommandKey | None = None
) -> Written:
    """Define a preset. The result holds `preset_id`."""
    group = body.resource_group
    if group is not None and not await _is_group(gateway, group):
        message = f"There is no resource group '{group[:64]}'; null makes it one for every group."
        error = FieldError("resource_group", UNKNOWN_GROUP, message)
        raise Refused(all_invalid((error,), frozenset({UNKNOWN_GROUP})))
    command = DefinePreset(
        name=body.name,
        resource_slots=_slots(body.resource_slots),
        shared_memory=body.shared_memory,
        resource_group=group,
    )
    return await gateway.writes.perform(call, command, key)


async def patch_preset(
    gateway: Gateway,
    call: Call,
    preset_id: str,
    body: PatchPresetBody,
    key: CommandKey | None = None,
) -> Written:
    """Change what is given of a preset; sessions that were made from it are as they were."""
    found = await _found(gateway, call, preset_id)
    wanted = merged_map(found[SLOTS], body.resource_slots)
    command = ChangePreset(
        preset_id=found["id"],
        resource_slots=UNSET if isinstance(wanted, UnsetType) else _slots(wanted),
        shared_memory=body.shared_memory,
    )
    return await gateway.writes.perform(call, command, key)


async def delete_preset(
    gateway: Gateway, call: Call, preset_id: str, key: CommandKey | None = None
) -> Written:
    """Offer a preset no more."""
    return await gateway.writes.perform(call, DeletePreset(preset_id=preset_id), key)


async def _found(gateway: Gateway, call: Call, preset_id: str) -> dict[str, Any]:
    found = await gateway.reads.decoded(PRESETS, call.caller(), preset_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    return found


async def _is_group(gateway: Gateway, name: str) -> bool:
    if "\0" in name:
        return False
    known: bool = await gateway.reads.pool.fetchval(
        "select exists(select from resource_groups where id = $1)", name
    )
    return known


def _slots(raw: RawLimits) -> Slots:
    """Return amounts; zero is kept, so that the rules can refuse it by name."""
    limits = limits_of(raw, SLOTS)
    missing = tuple(
        FieldError(f"{SLOTS}.{slot}", "required", f"{slot}: an amount is needed.")
        for slot, amount in limits.items()
        if amount is None
    )
    if missing:
        raise Refused(all_invalid(missing))
    return {slot: amount for slot, amount in limits.items() if amount is not None}
