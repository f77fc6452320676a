"""What a command about policies, presets and settings leaves behind, in the service as it runs."""

import asyncio

from shared.contracts.base import Accepted, Rejected
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    ChangePreset,
    ChangeProjectPolicy,
    ChangeSettings,
    ChangeUserPolicy,
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    DefinePreset,
    DeletePreset,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    PresetChanged,
    PresetDefined,
    PresetDeleted,
    ProjectPolicyChanged,
    ProjectPolicyCreated,
    ResetSettings,
    SettingChanged,
    SettingReset,
    UserPolicyChanged,
    UserPolicyCreated,
)
from shared.eventlog.codecs import codec_for
from shared.eventlog.records import CommandKey
from shared.kernel.cancelling import cancel
from shared.kernel.ids import new_id
from shared.projections.replica import Replica
from tests.policies.integration.harness import Policies

SLOTS = {"cpu": 1000, "mem": 2**30}


async def test_policies_are_created_and_changed_and_the_answer_says_where(
    running: Policies,
) -> None:
    head = await running.head()
    wishes = (
        CreateKeypairPolicy(name="a", total_resource_slots={"cpu": None}, idle_timeout=0),
        ChangeKeypairPolicy(name="a", idle_timeout=None),
        CreateUserPolicy(name="a", max_folder_count=1),
        ChangeUserPolicy(name="a", max_folder_count=2),
        CreateProjectPolicy(name="a", max_network_count=1),
        ChangeProjectPolicy(name="a", max_network_count=None),
    )
    for number, wish in enumerate(wishes, head + 1):
        assert (await running.accepted(wish)).position == number
    assert (await running.accepted(wishes[-1])).position == head + len(wishes)
    assert await running.events(head) == [
        KeypairPolicyCreated(name="a", total_resource_slots={"cpu": None}, idle_timeout=0),
        KeypairPolicyChanged(name="a", idle_timeout=None),
        UserPolicyCreated(name="a", max_folder_count=1),
        UserPolicyChanged(name="a", max_folder_count=2),
        ProjectPolicyCreated(name="a", max_network_count=1),
        ProjectPolicyChanged(name="a", max_network_count=None),
    ]
    assert (await running.rejected(wishes[0])).code == "policy_exists"
    missing = await running.rejected(ChangeUserPolicy(name="nobody's"))
    assert missing.code == "user_policy_not_found"


async def test_a_refused_command_changes_nothing(running: Policies) -> None:
    head = await running.head()
    bad = ChangeSettings(values={"announcement": "hi", "overlay_mtu": 1})
    assert (await running.rejected(bad)).code == "out_of_range"
    refusal = await running.rejected(CreateUserPolicy(name="b", max_folder_count=-1))
    assert refusal.errors[0].field == "max_folder_count"
    assert await running.head() == head


async def test_a_repeated_command_gets_its_first_answer(running: Policies) -> None:
    key = CommandKey(f"tester {new_id()}", "digest")
    wish = DefinePreset(name="once", resource_slots=SLOTS)
    first = await running.accepted(wish, key)
    head = await running.head()
    await running.accepted(DeletePreset(preset_id=first.result["preset_id"]))
    assert await running.accepted(wish, key) == first
    other = await running.rejected(wish, CommandKey(key.key, "another"))
    assert other.code == "idempotency_mismatch"
    assert await running.events(head) == [PresetDeleted(preset_id=first.result["preset_id"])]


async def test_of_those_who_want_a_name_at_once_one_gets_it(running: Policies) -> None:
    head = await running.head()
    wish = DefinePreset(name="wanted", resource_slots=SLOTS)
    replies = await running.together(*[wish] * 8)
    (winner,) = [reply for reply in replies if isinstance(reply, Accepted)]
    losers = [reply.rejection.code for reply in replies if isinstance(reply, Rejected)]
    assert losers == ["preset_exists"] * 7
    policies = await running.together(*[CreateProjectPolicy(name="wanted")] * 8)
    assert sum(isinstance(reply, Accepted) for reply in policies) == 1
    assert len(await running.events(head)) == 2
    await running.accepted(DeletePreset(preset_id=winner.result["preset_id"]))


async def test_the_name_of_a_preset_is_its_own_in_each_group_and_free_again_when_it_is_deleted(
    running: Policies,
) -> None:
    head = await running.head()
    ids = []
    for group in (None, "gpu", "default"):
        wish = DefinePreset(name="big", resource_slots=SLOTS, resource_group=group)
        ids.append((await running.accepted(wish)).result["preset_id"])
        refusal = await running.rejected(wish)
        assert (refusal.code, refusal.details) == ("preset_exists", {"field": "name"})
    await running.accepted(ChangePreset(preset_id=ids[1], shared_memory=1))
    await running.accepted(DeletePreset(preset_id=ids[1]))
    assert (await running.rejected(DeletePreset(preset_id=ids[1]))).code == "preset_not_found"
    again = DefinePreset(name="big", resource_slots=SLOTS, resource_group="gpu")
    new = (await running.accepted(again)).result["preset_id"]
    assert new not in ids
    events = await running.events(head)
    assert [type(event) for event in events] == [
        *[PresetDefined] * 3,
        PresetChanged,
        PresetDeleted,
        PresetDefined,
    ]


async def test_a_maximum_holds_for_the_next_policy_and_leaves_the_others(
    running: Policies,
) -> None:
    cores = {"cpu": 513_000}
    too_much = CreateKeypairPolicy(name="wide", total_resource_slots=cores)
    assert (await running.rejected(too_much)).code == "above_maximum"
    await running.accepted(ChangeSettings(values={"policy_maxima.cpu": 513}))
    await running.accepted(too_much)
    await running.accepted(ResetSettings(settings=("policy_maxima.cpu",)))
    head = await running.head()
    await running.accepted(ChangeKeypairPolicy(name="wide", total_resource_slots=cores))
    assert await running.head() == head
    more = ChangeKeypairPolicy(name="wide", total_resource_slots={**cores, "mem": 1})
    await running.accepted(more)
    more = ChangeKeypairPolicy(name="wide", total_resource_slots={"cpu": 512_001})
    assert (await running.rejected(more)).code == "above_maximum"


async def test_settings_change_and_go_back_together(running: Policies) -> None:
    head = await running.head()
    values = {"overlay_mtu": None, "scheduler.type": "drf", "image_auto_pull": "digest"}
    await running.accepted(ChangeSettings(values=values))
    await running.accepted(ResetSettings())
    await running.accepted(ResetSettings())
    assert await running.events(head) == [
        SettingChanged(setting="overlay_mtu", value=None),
        SettingChanged(setting="scheduler.type", value="drf"),
        SettingReset(setting="overlay_mtu"),
        SettingReset(setting="scheduler.type"),
    ]


async def test_a_change_can_be_tried_without_being_made(running: Policies) -> None:
    await running.accepted(CreateUserPolicy(name="tried"))
    head = await running.head()
    key = CommandKey(f"tester {new_id()}", "digest")
    trial = ChangeUserPolicy(name="tried", max_folder_count=1, check_only=True)
    assert (await running.accepted(trial, key)).position == head
    trial = ChangeUserPolicy(name="tried", max_folder_count=101, check_only=True)
    assert (await running.rejected(trial)).code == "above_maximum"
    trial = ChangeKeypairPolicy(name="default", is_default=False, check_only=True)
    assert (await running.rejected(trial)).code == "default_needed"
    trial = ChangeKeypairPolicy(name="a", is_default=True, check_only=True)
    await running.accepted(trial)
    assert await running.head() == head


async def test_the_longest_name_in_any_script_reaches_those_who_follow(running: Policies) -> None:
    name = "🧪" * 255
    position = (await running.accepted(CreateUserPolicy(name=name))).position
    names = []
    codecs = {"policies": codec_for("policies")}
    follower = Replica(
        running.nats, ("policies",), codecs, lambda _, recorded: names.append(recorded.stream)
    )
    following = asyncio.ensure_future(follower.run())
    assert await follower.wait_for("policies", position, 20)
    await cancel((following,), 5)
    assert names[-1] == f"user-policy-{name}"
