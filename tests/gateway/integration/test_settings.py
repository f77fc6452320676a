"""The settings of the cluster through HTTP."""

import pytest
import pytest_asyncio

from shared.contracts.policies import SETTINGS
from tests.gateway.integration.people import refused, signing, unique

PATH = "/v1/settings"


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def untouched(admin):
    """Let every test begin with the defaults and leave them behind."""
    await admin.post(f"{PATH}/reset")
    yield
    await admin.post(f"{PATH}/reset")


def values(document):
    return {name: value for name, value in document.items() if name != "schema"}


async def test_every_setting_is_there_with_what_it_may_be(admin):
    found = (await admin.get(PATH)).json()
    schema = found["schema"]
    assert schema.keys() == SETTINGS.keys()
    for key, setting in SETTINGS.items():
        section, _, rest = key.partition(".")
        value = found[section][rest] if rest else found[section]
        assert value == setting.default == schema[key]["default"], key
        assert schema[key]["type"] == setting.type
        assert schema[key]["description"]
    assert schema["overlay_mtu"]["minimum"] == 68
    assert schema["overlay_mtu"]["maximum"] == 65_535
    assert schema["image_auto_pull"]["choices"] == ["digest", "tag", "none"]
    assert schema["scheduler.type"]["scope"] == "resource-group"


async def test_a_patch_changes_what_it_names_and_tells_who_did_it(stack, admin):
    user, client = await signing(stack, admin, role="superadmin")
    patch = {
        "overlay_mtu": None,
        "scheduler": {"retries_to_skip": 0},
        "policy_maxima": {"cuda.device": 8, "cpu": None},
    }
    before = (await admin.get(PATH)).json()
    answer = await client.patch(PATH, json=patch)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["overlay_mtu"] is None
    assert changed["scheduler"] == {"type": "fifo", "retries_to_skip": 0}
    assert changed["policy_maxima"] == {
        **before["policy_maxima"],
        "cuda.device": 8,
        "cpu": None,
    }
    told = changed["schema"]["policy_maxima.cuda.device"]
    assert (told["changed_by"], told["changed_at"] is not None) == (user["id"], True)
    assert (
        changed["schema"]["announcement"]["changed_at"]
        == (before["schema"]["announcement"]["changed_at"])
    )
    assert (await admin.get(PATH)).json() == changed


@pytest.mark.parametrize(
    ("patch", "field", "code"),
    [
        ({"nonsense": 1}, "nonsense", "unknown_setting"),
        ({"scheduler": {"nonsense": 1}}, "scheduler.nonsense", "unknown_setting"),
        ({"scheduler.type": "lifo"}, "scheduler.type", "unknown_setting"),
        ({"scheduler": "lifo"}, "scheduler", "wrong_type"),
        ({"scheduler": None}, "scheduler", "wrong_type"),
        ({"overlay_mtu": "1500"}, "overlay_mtu", "wrong_type"),
        ({"overlay_mtu": 1500.5}, "overlay_mtu", "wrong_type"),
        ({"overlay_mtu": True}, "overlay_mtu", "wrong_type"),
        ({"overlay_mtu": [1500]}, "overlay_mtu", "wrong_type"),
        ({"overlay_mtu": {"x": 1}}, "overlay_mtu", "wrong_type"),
        ({"overlay_mtu": 67}, "overlay_mtu", "out_of_range"),
        ({"overlay_mtu": 10**30}, "overlay_mtu", "out_of_range"),
        ({"announcement": None}, "announcement", "wrong_type"),
        ({"image_auto_pull": "always"}, "image_auto_pull", "not_a_choice"),
        ({"scheduler": {"type": "drf", "retries_to_skip": 2}}, None, "only_fifo"),
        ({"schema": {}}, "schema", "read_only"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_changes(admin, patch, field, code):
    before = (await admin.get(PATH)).json()
    answer = await admin.patch(PATH, json={"project_folders_allowed": False, **patch})
    found = refused(answer, 422)
    assert code in {answer.json()["code"], *found.values()}
    assert set(found) == {field or "scheduler.retries_to_skip"}
    assert (await admin.get(PATH)).json() == before


async def test_one_setting_or_all_are_reset(admin):
    defaults = values((await admin.get(PATH)).json())
    await admin.patch(PATH, json={"announcement": "soon", "overlay_mtu": 9000})
    gone = await admin.delete(f"{PATH}/overlay_mtu")
    assert (gone.status_code, gone.content) == (204, b"")
    found = (await admin.get(PATH)).json()
    assert (found["overlay_mtu"], found["announcement"]) == (1500, "soon")
    assert (await admin.delete(f"{PATH}/policy_maxima.cuda.device")).status_code == 204
    refused(await admin.delete(f"{PATH}/nonsense"), 404, "setting_not_found")
    answer = await admin.post(f"{PATH}/reset")
    assert answer.status_code == 200, answer.text
    assert values(answer.json()) == defaults


async def test_the_timeline_tells_what_was_and_what_is(admin):
    await admin.patch(PATH, json={"overlay_mtu": 8900})
    await admin.patch(PATH, json={"overlay_mtu": 9000})
    await admin.delete(f"{PATH}/overlay_mtu")
    events = (await admin.get(f"{PATH}/timeline?limit=3")).json()["items"]
    name = "settings.overlay_mtu.value"
    assert [event["changes"][name] for event in events] == [
        {"from": 9000, "to": 1500},
        {"from": 8900, "to": 9000},
        {"from": 1500, "to": 8900},
    ]


async def test_a_maximum_holds_for_the_next_policy_and_changes_none_that_is(admin):
    body = {"name": unique("p"), "max_folder_count": 100}
    assert (await admin.post("/v1/user-policies", json=body)).status_code == 201
    await admin.patch(PATH, json={"policy_maxima": {"max_folder_count": 10}})
    path = f"/v1/user-policies/{body['name']}"
    assert (await admin.get(path)).json()["max_folder_count"] == 100
    other = {"name": unique("p"), "max_folder_count": 11}
    refused(await admin.post("/v1/user-policies", json=other), 422, "above_maximum")
    refused(await admin.patch(path, json={"max_folder_count": 99}), 422, "above_maximum")
    patched = await admin.patch(path, json={"max_customized_image_count": 1})
    assert patched.status_code == 200, patched.text
    assert (await admin.patch(path, json={"max_folder_count": None})).status_code == 200


async def test_everybody_reads_settings_and_only_a_superadmin_changes_them(stack, admin):
    _, client = await signing(stack, admin)
    assert values((await client.get(PATH)).json()) == values((await admin.get(PATH)).json())
    assert (await client.get(f"{PATH}/timeline")).status_code == 200
    refused(await client.patch(PATH, json={"announcement": "x"}), 403)
    refused(await client.delete(f"{PATH}/announcement"), 403)
    refused(await client.post(f"{PATH}/reset"), 403)


async def test_the_same_key_changes_settings_once(admin):
    headers = {"Idempotency-Key": unique("k")}
    first = await admin.patch(PATH, json={"announcement": "one"}, headers=headers)
    await admin.patch(PATH, json={"announcement": "two"})
    again = await admin.patch(PATH, json={"announcement": "one"}, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert (await admin.get(PATH)).json()["announcement"] == "two"
