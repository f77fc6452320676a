"""`qm keypair` against a whole installation."""

import json
import stat

import pytest

from tests.cli.conftest import Terminal, name, one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_a_new_keypair_signs_at_once_until_it_is_deactivated_and_deleted(admin, own, person):
    path = own.home / "mine.json"
    done = own.qm("keypair", "create", "--save", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = json.loads(path.read_text())
    assert kept["secret_key"] not in done.stdout
    access_key = kept["access_key"]

    signing = Terminal(own.home, {"QM_CREDENTIALS": str(path)})
    assert signing.json("user", "show")["id"] == person["id"]
    assert "can't be deleted" in one_line(own.qm("keypair", "delete", person["main_access_key"]))
    assert own.qm("keypair", "make-main", access_key).stdout == f"{access_key}: active, main\n"
    assert own.json("user", "show")["main_access_key"] == access_key
    own.json("keypair", "make-main", person["main_access_key"])
    assert own.qm("keypair", "deactivate", access_key).stdout == f"{access_key}: inactive\n"
    one_line(signing.qm("user", "show"))
    assert own.qm("keypair", "delete", access_key).stdout == f"{access_key}: deleted.\n"
    assert "no keypair" in one_line(own.qm("keypair", "show", access_key))
    told = admin.qm("user", "timeline", person["id"]).stdout
    assert "KeypairDeleted" in told
    assert kept["secret_key"] not in told


def test_a_secret_is_printed_by_creating_and_revealing_only(admin, person):
    done = admin.qm("keypair", "create", "--user", person["email"], "--json")
    assert "not shown again" in done.stderr
    made = json.loads(done.stdout)
    access_key, secret_key = made["access_key"], made["secret_key"]
    for command in ("show", "timeline", "activate", "reveal"):
        printed = admin.qm("keypair", command, access_key)
        assert printed.returncode == 0, printed.stderr
        assert (secret_key in printed.stdout) is (command == "reveal")
    assert secret_key not in admin.qm("keypair", "list", "--user", person["id"], "--json").stdout
    assert "KeypairSecretRevealed" in admin.qm("keypair", "timeline", access_key).stdout


def test_an_existing_file_is_kept_and_nothing_is_issued(own, person):
    path = own.home / "mine.json"
    path.write_text("precious")
    assert "exists" in one_line(own.qm("keypair", "create", "--save", str(path)))
    assert path.read_text() == "precious"
    listed = own.json("keypair", "list", "--user", "me")["items"]
    assert [each["access_key"] for each in listed] == [person["main_access_key"]]


def test_limit_and_policy_are_the_administrator_s_to_change(admin, own, person):
    access_key = person["main_access_key"]
    changed = admin.json("keypair", "update", access_key, "--rate-limit", "7000")
    assert changed["rate_limit"] == 7000
    assert " 7000 " in admin.qm("keypair", "list", "--user", person["username"]).stdout
    changed = admin.json("keypair", "update", access_key, "--rate-limit", "unlimited")
    assert changed["rate_limit"] is None
    assert "unlimited" in admin.qm("keypair", "show", access_key).stdout
    one_line(own.qm("keypair", "update", access_key, "--rate-limit", "unlimited"))
    refused = admin.qm("keypair", "update", access_key, "--policy", name("never"))
    assert "resource_policy: " in one_line(refused)


def test_no_keypair_that_fits_is_no_error(admin, person):
    done = admin.qm("keypair", "list", "--user", person["id"], "--status", "inactive")
    assert (done.returncode, done.stdout) == (0, "No keypairs match.\n")
    assert "no keypair" in one_line(admin.qm("keypair", "show", "a?b=#1"))
