"""`qm domain` and `qm project` against a whole installation."""

import pytest

from tests.cli.conftest import name, one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_a_domain_is_created_changed_and_listed(admin):
    called = name("lab")
    made = admin.json("domain", "create", called, "--slot", "mem=64g", "--slot", "cpu=8")
    assert made["total_resource_slots"] == {"cpu": "8", "mem": str(64 << 30)}
    given = ("--slot", "cpu=unlimited", "--host", "local=mount-in-session,upload-file")
    changed = admin.json("domain", "update", called, *given, "--inactive")
    assert changed["total_resource_slots"] == {"mem": str(64 << 30)}
    assert sorted(changed["allowed_hosts"]["local"]) == ["mount-in-session", "upload-file"]
    shown = admin.qm("domain", "show", called).stdout
    assert "mem 64 GiB" in shown
    assert "upload-file" in shown
    assert called in admin.qm("domain", "list", "--search", called, "--inactive").stdout
    assert (
        admin.qm("domain", "list", "--search", called, "--active").stdout == "No domains match.\n"
    )
    assert "is_active: yes → no" in admin.qm("domain", "timeline", called).stdout
    assert "already" in one_line(admin.qm("domain", "create", called))
    assert "total_resource_slots.cpu" in one_line(
        admin.qm("domain", "update", called, "--slot", "cpu=much")
    )


def test_a_project_is_found_by_name_by_domain_and_name_and_by_id(admin):
    called = name("vision")
    made = admin.json("project", "create", called, "--description", "sees", "--slot", "cpu=2")
    for key in (called, f"default/{called}", made["id"]):
        assert admin.json("project", "show", key)["id"] == made["id"]
    changed = admin.qm("project", "update", called, "--description", "hears")
    assert "hears" in changed.stdout
    assert "cpu 2" in changed.stdout
    listed = admin.json("project", "list", "--search", called, "--type", "general")["items"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert "no project" in one_line(admin.qm("project", "show", f"elsewhere/{called}"))
    done = admin.qm("project", "list", "--search", name("never"))
    assert (done.returncode, done.stdout) == (0, "No projects match.\n")
    assert "sees → hears" in admin.qm("project", "timeline", called).stdout


def test_a_name_that_two_domains_have_is_asked_back(admin):
    called, domain = name("twin"), name("other")
    admin.json("domain", "create", domain)
    admin.json("project", "create", called)
    admin.json("project", "create", called, "--domain", domain)
    assert f"{domain}/{called}" in one_line(admin.qm("project", "show", called))
    assert admin.json("project", "show", f"{domain}/{called}")["domain"] == domain


def test_members_are_added_with_a_part_and_removed(admin, own, person):
    called = name("team")
    admin.json("project", "create", called)
    assert "no project" in one_line(own.qm("project", "show", called))
    members = ("project", "members")
    done = admin.qm(*members, "add", called, person["email"], "--role", "admin")
    assert done.stdout == f"{person['email']}: admin of {called}\n"
    assert own.json("project", "show", called)["name"] == called
    assert person["email"] in own.qm(*members, "list", called).stdout
    assert admin.qm(*members, "remove", called, person["username"]).returncode == 0
    assert admin.qm(*members, "list", called).stdout == "No members.\n"
    assert "model-store" in one_line(
        admin.qm(*members, "remove", "default/model-store", person["id"])
    )
