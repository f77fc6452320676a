"""`qm group` against a whole installation."""

import pytest

from tests.cli.conftest import name, one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_a_group_is_created_changed_listed_and_deleted(admin, tmp_path):
    called = name("gpu")
    (tmp_path / "token").write_text("proxy-secret\n")
    made = admin.json(
        *("group", "create", called, "--description", "A100s", "--type", "batch"),
        *("--proxy", "https://proxy:5050", "--proxy-token-file", str(tmp_path / "token")),
    )
    assert made["allowed_session_types"] == ["batch"]
    assert (made["wsproxy_addr"], made["has_wsproxy_api_token"]) == ("https://proxy:5050", True)
    assert made["allowed_domains"] is None
    given = ("--scheduler", "drf", "--domain", "default", "--project", "default")
    changed = admin.json("group", "update", called, *given, "--inactive")
    assert (changed["scheduler"], changed["allowed_domains"]) == ("drf", ["default"])
    assert len(changed["allowed_projects"]) == 1
    shown = admin.qm("group", "show", called).stdout
    assert "A100s" in shown
    assert "proxy-secret" not in shown
    assert called in admin.qm("group", "list", "--search", called, "--inactive").stdout
    missing = admin.qm("group", "list", "--search", called, "--active")
    assert missing.stdout == "No resource groups match.\n"
    assert "scheduler: fifo → drf" in admin.qm("group", "timeline", called).stdout
    assert "in use" in one_line(admin.qm("group", "delete", called))
    assert "domain" in admin.qm("group", "references", called).stdout
    admin.json("group", "update", called, "--domain", "every", "--project", "none")
    assert "It can be deleted." in admin.qm("group", "references", called).stdout
    assert called in admin.qm("group", "delete", called).stdout
    assert "no resource group" in one_line(admin.qm("group", "show", called))


def test_what_cannot_be_of_a_group_is_said_in_one_line(admin):
    assert "retries_to_skip" in one_line(
        admin.qm("group", "create", name("g"), "--scheduler", "lifo", "--retries", "2")
    )
    for wrong in (("--retries", "many"), ("--domain", "every", "--domain", "default")):
        done = admin.qm("group", "update", "default", *wrong)
        assert done.returncode != 0
    assert admin.json("group", "update", "default", "--retries", "2")["retries_to_skip"] == 2
    same = admin.json("group", "update", "default", "--retries", "as-set")
    assert same["retries_to_skip"] is None


def test_a_user_sees_no_group_that_is_not_open_to_them(admin, own):
    called = name("closed")
    admin.json("group", "create", called, "--domain", "none")
    assert "no resource group" in one_line(own.qm("group", "show", called))
    assert called not in own.qm("group", "list").stdout
    shown = own.qm("group", "show", "default").stdout
    assert "fifo" in shown
    assert "app proxy" not in shown
    admin.qm("group", "delete", called)
