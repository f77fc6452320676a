"""Which presets may be defined and changed, and how one ends."""

from typing import Any

import msgspec
import pytest

from services.policies.domain import preset
from services.policies.domain.preset import NewPreset
from shared.contracts.policies import (
    ChangePreset,
    DefinePreset,
    DeletePreset,
    PresetChanged,
    PresetDefined,
    PresetDeleted,
)
from shared.eventlog.decider import Decider
from shared.kernel.slots import MAX_AMOUNT
from shared.testing.spec import given

PRESET = Decider(preset.INITIAL, preset.evolve, preset.decide)
NEW = NewPreset("p-1")
WISH = DefinePreset(name="small", resource_slots={"cpu": 1000, "mem": 2**30}, shared_memory=2**26)
SMALL = PresetDefined(
    preset_id="p-1", name="small", resource_slots={"cpu": 1000, "mem": 2**30}, shared_memory=2**26
)
GONE = PresetDeleted(preset_id="p-1")


def test_a_preset_is_defined_for_every_group_or_for_one() -> None:
    given(PRESET).when(WISH, NEW).then(SMALL)
    of_group = msgspec.structs.replace(WISH, resource_group="gpu")
    given(PRESET).when(of_group, NEW).then(msgspec.structs.replace(SMALL, resource_group="gpu"))
    given(PRESET, SMALL).when(WISH, NEW).rejected("preset_exists")
    for group in ("", "x" * 65):
        wrong = msgspec.structs.replace(WISH, resource_group=group)
        refusal = given(PRESET).when(wrong, NEW).rejected("invalid_request")
        assert [error.field for error in refusal.errors] == ["resource_group"]


@pytest.mark.parametrize("name", ["", "x" * 65, "a/b", " a", "..", "available"])
def test_a_name_can_stand_in_a_path(name: str) -> None:
    wish = msgspec.structs.replace(WISH, name=name)
    assert given(PRESET).when(wish, NEW).rejected("invalid_request").errors[0].field == "name"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"resource_slots": {"cpu": 1000, "x": 1}, "shared_memory": None}, "resource_slots.mem"),
        ({"resource_slots": {"mem": 2**30}}, "resource_slots.cpu"),
        ({"resource_slots": {"cpu": 0, "mem": 2**30}}, "resource_slots.cpu"),
        ({"resource_slots": {"cpu": 1, "mem": -1}, "shared_memory": None}, "resource_slots.mem"),
        (
            {"resource_slots": {"cpu": MAX_AMOUNT + 1, "mem": 2**30}},
            "resource_slots.cpu",
        ),
        ({"resource_slots": {"cpu": 1, "mem": 2**30, "A": 1}}, "resource_slots"),
        ({"shared_memory": 2**30}, "shared_memory"),
        ({"shared_memory": -1}, "shared_memory"),
    ],
)
def test_a_preset_asks_for_cpu_and_memory_and_shares_a_part_of_it(
    changes: dict[str, Any], field: str
) -> None:
    wish = msgspec.structs.replace(WISH, **changes)
    refusal = given(PRESET).when(wish, NEW).rejected("invalid_request")
    assert [error.field for error in refusal.errors] == [field]
    change = ChangePreset(preset_id="p-1", **changes)
    given(PRESET, SMALL).when(change).rejected("invalid_request")


def test_devices_are_asked_for_whole_and_shares_are_not() -> None:
    for slot, amount in (("cuda.shares", 500), ("cuda.device", 2000)):
        slots = {**WISH.resource_slots, slot: amount}
        given(PRESET).when(msgspec.structs.replace(WISH, resource_slots=slots), NEW)
    slots = {**WISH.resource_slots, "cuda.device": 500}
    wish = msgspec.structs.replace(WISH, resource_slots=slots)
    given(PRESET).when(wish, NEW).rejected("whole_devices")


def test_only_what_is_given_and_different_changes() -> None:
    change = ChangePreset(preset_id="p-1", shared_memory=None)
    changed = PresetChanged(preset_id="p-1", shared_memory=None)
    given(PRESET, SMALL).when(change).then(changed)
    given(PRESET, SMALL, changed).when(change).nothing()
    slots = {"cpu": 500, "mem": 2**31}
    more = given(PRESET, SMALL).when(ChangePreset(preset_id="p-1", resource_slots=slots))
    assert more.state.values == msgspec.structs.replace(SMALL, resource_slots=slots)


def test_memory_can_not_shrink_below_what_is_shared_of_it() -> None:
    shrink = ChangePreset(preset_id="p-1", resource_slots={"cpu": 1000, "mem": 2**26})
    refusal = given(PRESET, SMALL).when(shrink).rejected("invalid_request")
    assert refusal.errors[0].field == "shared_memory"
    both = msgspec.structs.replace(shrink, shared_memory=2**25)
    assert given(PRESET, SMALL).when(both).events


def test_what_is_not_there_is_neither_changed_nor_deleted() -> None:
    given(PRESET, SMALL).when(DeletePreset(preset_id="p-1")).then(GONE)
    for history in ((), (SMALL, GONE)):
        for command in (ChangePreset(preset_id="p-1"), DeletePreset(preset_id="p-1")):
            given(PRESET, *history).when(command).rejected("preset_not_found")
