"""`qm policy`, `qm preset` and `qm settings` against a whole installation."""

import pytest

from tests.cli.conftest import name, one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_a_keypair_policy_is_created_changed_listed_and_deleted(admin):
    called = name("small")
    policy = ("policy", "keypair")
    given = ("--slot", "cpu=4", "--slot", "mem=8g", "--max-concurrent-sessions", "3")
    made = admin.json(*policy, "create", called, *given, "--idle-timeout", "2h")
    assert made["total_resource_slots"] == {"cpu": "4", "mem": str(8 << 30)}
    assert (made["max_concurrent_sessions"], made["idle_timeout"]) == (3, 7200)
    assert made["max_priority"] is None
    changed = admin.qm(
        *policy,
        "update",
        called,
        "--max-concurrent-sessions",
        "unlimited",
        "--unspecified",
        "limited",
    )
    assert changed.returncode == 0, changed.stderr
    shown = admin.json(*policy, "show", called)
    assert shown["max_concurrent_sessions"] is None
    assert shown["default_for_unspecified"] == "limited"
    assert "mem 8 GiB" in admin.qm(*policy, "list", "--search", called).stdout
    assert "max_concurrent_sessions" in admin.qm(*policy, "timeline", called).stdout
    assert "can be deleted" in admin.qm(*policy, "references", called).stdout
    assert admin.qm(*policy, "delete", called).stdout == f"{called}: deleted.\n"
    assert admin.qm(*policy, "list", "--search", called).stdout == "No policies match.\n"
    one_line(admin.qm(*policy, "show", called))


def test_what_uses_a_policy_is_told_and_keeps_it(admin, person):
    called = name("used")
    policy = ("policy", "keypair")
    admin.json(*policy, "create", called)
    admin.json("keypair", "update", person["main_access_key"], "--policy", called)
    told = admin.qm(*policy, "references", called).stdout
    assert person["main_access_key"] in told
    assert person["email"] in told
    assert "can be deleted" not in told
    one_line(admin.qm(*policy, "delete", called))
    impact = admin.json(*policy, "impact", called, "--slot", "cpu=1")
    assert (impact["bound"], impact["exceeding_total"]) == (1, 0)
    assert "binds 1 keypairs" in admin.qm(*policy, "impact", called, "--max-priority", "1").stdout
    assert admin.json(*policy, "show", called)["max_priority"] is None


def test_policies_of_users_and_projects_have_their_own_limits(admin):
    called = name("quota")
    made = admin.json("policy", "user", "create", called, "--max-quota-scope-size", "10g")
    assert made["max_quota_scope_size"] == 10 << 30
    assert "10 GiB" in admin.qm("policy", "user", "show", called).stdout
    made = admin.json("policy", "project", "create", called, "--max-network-count", "0")
    assert made["max_network_count"] == 0
    for kind in ("user", "project"):
        assert admin.qm("policy", kind, "delete", called).returncode == 0
    wrong = admin.qm("policy", "user", "create", called, "--max-folder-count", "many")
    assert wrong.returncode == 2
    assert "unlimited" in wrong.stderr
    one_line(admin.qm("policy", "user", "update", "default", "--max-folder-count", "100000"))


def test_a_preset_is_created_changed_offered_and_deleted(admin):
    called = name("tiny")
    made = admin.json("preset", "create", called, "--slot", "cpu=1", "--slot", "mem=256m")
    assert made["resource_slots"] == {"cpu": "1", "mem": str(256 << 20)}
    own = admin.json(
        "preset", "create", called, "--slot", "cpu=2", "--slot", "mem=1g", "--group", "default"
    )
    one_line(admin.qm("preset", "show", called))
    assert admin.json("preset", "show", called, "--group", "default")["id"] == own["id"]
    assert admin.json("preset", "show", called, "--group", "")["id"] == made["id"]
    changed = admin.json(
        "preset",
        "update",
        called,
        "--group",
        "default",
        "--shared-memory",
        "64m",
        "--slot",
        "cpu=3",
    )
    assert changed["shared_memory"] == 64 << 20
    assert changed["resource_slots"] == {"cpu": "3", "mem": str(1 << 30)}
    assert admin.qm("preset", "delete", own["id"]).returncode == 0
    assert called in admin.qm("preset", "list", "--search", called).stdout
    assert called in admin.qm("preset", "available", "--all").stdout
    offered = {item["name"] for item in admin.json("preset", "available")["items"]}
    assert called in offered
    assert admin.qm("preset", "delete", called).returncode == 0
    assert admin.qm("preset", "list", "--search", called).stdout == "No presets match.\n"


def test_a_session_asks_for_what_its_preset_says_unless_it_says_otherwise(admin):
    called, session = name("offer"), name("job")
    admin.json("preset", "create", called, "--slot", "cpu=0.5", "--slot", "mem=64m")
    given = ("session", "run", "--preset", called, "--name", session, "--mem", "96m", "--wait")
    done = admin.qm(*given, "--", "true")
    assert done.returncode == 0, done.stderr
    asked = admin.json("session", "show", session)["resources"]
    assert asked == {"cpu": "0.5", "mem": str(96 << 20)}
    admin.qm("preset", "delete", called)


def test_limits_of_a_user_tell_which_is_met_first(admin, own, person):
    called = name("tight")
    admin.json("policy", "keypair", "create", called, "--slot", "mem=2g", "--max-priority", "5")
    admin.json("keypair", "update", person["main_access_key"], "--policy", called)
    told = own.qm("user", "limits").stdout
    assert "total_resource_slots.mem" in told
    assert "2 GiB" in told
    assert "unlimited" not in told
    assert "unlimited" in admin.qm("user", "limits", person["email"], "--all").stdout
    binding = admin.json("user", "limits", person["id"])["binding"]
    assert {"field": "total_resource_slots", "slot": "mem"}.items() <= next(
        item for item in binding if item["slot"] == "mem"
    ).items()


def test_settings_are_shown_changed_together_and_reset(admin, own):
    given = ("scheduler.retries_to_skip=5", "image_auto_pull=tag", "overlay_mtu=none")
    changed = admin.json("settings", "set", *given)
    assert changed["scheduler"]["retries_to_skip"] == 5
    assert (changed["image_auto_pull"], changed["overlay_mtu"]) == ("tag", None)
    shown = admin.qm("settings", "show", "--changed").stdout
    assert "scheduler.retries_to_skip" in shown
    assert "announcement" not in shown
    assert "digest, tag, none" in admin.qm("settings", "show", "image_auto_pull").stdout
    one_line(admin.qm("settings", "set", "image_auto_pull=digest", "overlay_mtu=5"))
    assert admin.json("settings", "show")["image_auto_pull"] == "tag"
    assert "there is no setting" in one_line(admin.qm("settings", "set", "colour=red"))
    one_line(own.qm("settings", "set", "announcement=hello"))
    assert own.json("settings", "show")["overlay_mtu"] is None
    assert admin.qm("settings", "reset", "image_auto_pull").returncode == 0
    assert admin.json("settings", "show")["image_auto_pull"] == "digest"
    assert "SettingReset" in admin.qm("settings", "timeline").stdout
    assert admin.qm("settings", "reset", "--all").returncode == 0
    assert admin.qm("settings", "show", "--changed").stdout == "Every setting has its default.\n"
