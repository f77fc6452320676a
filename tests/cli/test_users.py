"""`qm user` against a whole installation."""

import json
import signal

import pytest

from tests.cli.conftest import PASSWORD, Terminal, log_in, name, one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_a_user_is_found_by_address_name_and_id_whatever_the_case(admin, person):
    for key in (person["email"], person["username"].upper(), person["id"]):
        assert admin.json("user", "show", key)["id"] == person["id"]
    shown = admin.qm("user", "show", person["username"])
    assert "default, model-store" in shown.stdout
    assert "there is no user" in one_line(admin.qm("user", "show", name("nobody")))
    # a part of a name is no name
    assert "there is no user" in one_line(admin.qm("user", "show", person["username"][:-1]))


def test_a_list_is_narrowed_by_every_filter_and_an_empty_one_is_no_error(admin, person):
    def found(*filters):
        return [user["id"] for user in admin.json("user", "list", *filters)["items"]]

    stem = person["username"]
    assert found("--search", stem.upper()) == [person["id"]]
    narrow = ("--status", "active", "--role", "user", "--domain", "default")
    assert found("--search", stem, *narrow) == [person["id"]]
    assert found("--email", person["email"], "--status", "inactive") == []
    assert found("--email", person["email"], "--at", "2020-01-01T00:00:00Z") == []
    empty = admin.qm("user", "list", "--search", name("never"))
    assert (empty.returncode, empty.stderr, empty.stdout) == (0, "", "No users match.\n")
    assert "role" in one_line(admin.qm("user", "list", "--role", "king"))


def test_what_is_given_of_a_user_is_changed_and_its_timeline_tells_it(admin, person, terminal):
    given = ("--full-name", "Ada Lovelace", "--role", "admin", "--project", "default")
    changed = admin.json("user", "update", person["username"], *given, "--sudo")
    assert changed["full_name"] == "Ada Lovelace"
    assert (changed["role"], changed["sudo_session_enabled"]) == ("admin", True)
    assert changed["description"] == person["description"]
    told = admin.qm("user", "timeline", person["email"]).stdout
    assert "user → admin" in told
    assert "UserCreated" in told
    refused = admin.qm("user", "update", person["username"], "--policy", "none-such")
    assert "resource_policy" in one_line(refused)


def test_every_wrong_field_is_named_and_nothing_is_created(admin):
    called = name("eve")
    given = ("--email", called, "--username", called, "--password-stdin")
    told = one_line(admin.qm("user", "create", *given, stdin="short\n"))
    assert "email: " in told
    assert "password: " in told
    assert "short" not in told
    assert admin.json("user", "list", "--search", called)["items"] == []


def test_a_password_comes_from_the_environment_or_a_pipe_and_is_never_printed(
    admin, installation, person
):
    admin.environ["QM_PASSWORD"] = "Difference-1822"
    done = admin.qm("user", "update", person["id"], "--set-password")
    assert done.returncode == 0, done.stderr
    assert "Difference" not in done.stdout + done.stderr
    other = Terminal(admin.home)
    log_in(other, installation, person["email"], "Difference-1822")
    told = one_line(admin.qm("user", "update", person["id"], "--password-stdin", stdin=""))
    assert "standard input" in told


def test_a_deactivated_user_is_out_until_activated(admin, own, person):
    other = f"{name('bob')}@example.org"
    given = ("user", "create", "--email", other, "--password-stdin", "--status", "inactive")
    assert admin.qm(*given, stdin=f"{PASSWORD}\n").returncode == 0
    done = admin.qm("user", "deactivate", person["username"], other)
    assert done.stdout == f"{person['email']}: inactive\n{other}: inactive\n"
    one_line(own.qm("user", "show"))
    assert admin.qm("user", "activate", person["id"]).stdout == f"{person['email']}: active\n"
    assert own.json("user", "show")["id"] == person["id"]


def test_log_in_sessions_are_listed_and_revoked(admin, own, person):
    (only,) = admin.json("user", "sessions", person["email"])["items"]
    assert only["id"] in own.qm("user", "sessions").stdout
    assert admin.qm("user", "revoke", person["email"], only["id"]).returncode == 0
    assert "qm login" in one_line(own.qm("user", "sessions"))
    assert "No log-in sessions" in admin.qm("user", "sessions", person["email"]).stdout
    ended = admin.json("user", "sessions", person["email"], "--all")["items"]
    assert [each["end_reason"] for each in ended] == ["revoked"]
    assert admin.qm("user", "revoke", person["email"], "--all").returncode == 0


def test_a_person_is_erased_only_when_deactivated_and_confirmed(admin, person):
    erase = ("user", "erase", person["username"])
    assert "deactivate" in one_line(admin.qm(*erase))
    assert admin.qm("user", "deactivate", person["id"]).returncode == 0
    for typed in ("", "yes\n"):
        refused = admin.qm(*erase, stdin=typed)
        assert refused.returncode == 1
        assert "nothing was done" in refused.stderr
        assert admin.json("user", "show", person["id"])["email"] == person["email"]
    assert admin.qm(*erase, stdin=f"{person['id']}\n").returncode == 0
    erased = admin.json("user", "show", person["id"])
    assert (erased["erased"], erased["email"], erased["username"]) == (True, None, None)
    assert "there is no user" in one_line(admin.qm("user", "show", person["email"]))
    assert person["email"] not in admin.qm("user", "timeline", person["id"]).stdout


def test_many_users_come_from_a_file_each_row_by_itself(admin, installation, tmp_path):
    first, second = name("one"), name("two")
    rows = [
        "email,username,full_name,projects",
        f'{first}@example.org,{first},"Lovelace, Ada",',
        f"not-an-address,{second},,",
    ]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(rows) + "\n")
    done = admin.qm("user", "bulk", str(path), "--generate-passwords", "--json")
    assert done.returncode == 1
    assert "1 created, 1 failed" in done.stderr
    good, bad = json.loads(done.stdout)["results"]
    assert (good["status"], bad["status"]) == ("created", "failed")
    assert bad["errors"][0]["field"] == "email"
    other = Terminal(tmp_path)
    log_in(other, installation, good["email"], good["password"])
    assert other.json("user", "show")["password_change_required"] is True

    path = tmp_path / "people.json"
    user = {"email": f"{second}@example.org", "username": second, "password": PASSWORD}
    path.write_text(json.dumps([user]))
    done = admin.qm("user", "bulk", str(path))
    assert (done.returncode, done.stderr) == (0, "1 created, 0 failed.\n")
    assert f"{second}@example.org" in done.stdout
    assert PASSWORD not in done.stdout


def test_more_users_than_one_answer_holds_are_waited_for(admin, tmp_path):
    stem = name("crowd")
    users = [
        {"email": f"{stem}-{n}@example.org", "username": f"{stem}-{n}", "password": "no"}
        for n in range(101)
    ]
    path = tmp_path / "crowd.json"
    path.write_text(json.dumps({"users": users}))
    done = admin.qm("user", "bulk", str(path))
    assert done.returncode == 1
    assert "0 created, 101 failed." in done.stderr
    assert f"{stem}-100@example.org" in done.stdout
    assert "password: " in done.stdout
    task_id = done.stderr.partition("task ")[2].partition(";")[0]
    again = admin.qm("user", "bulk", "--task", task_id)
    assert "0 created, 101 failed." in again.stderr


def test_interrupting_cancels_what_is_not_done_and_tells_what_is(admin, tmp_path):
    stem = name("long")
    path = tmp_path / "long.csv"
    rows = [f"{stem}-{n}@example.org,{stem}-{n}" for n in range(1000)]
    path.write_text("\n".join(["email,username", *rows]) + "\n")
    watcher = admin.start("user", "bulk", str(path), "--generate-passwords", "--json")
    assert watcher.stderr.readline().startswith("This is task ")
    watcher.send_signal(signal.SIGINT)
    out, told = watcher.communicate(timeout=60)
    assert watcher.returncode == 1
    assert "before it was cancelled" in told
    done = json.loads(out)
    assert done["status"] == "cancelled"
    assert 0 <= done["created"] == len(done["results"]) < 1000
    known = admin.json("user", "list", "--search", stem, "--limit", "1000")
    assert known["total"] == done["created"]


@pytest.mark.parametrize(
    ("called", "content", "said"),
    [
        ("people.txt", "email", "neither .csv nor .json"),
        ("people.json", "{", "can't be read"),
        ("people.json", "7", "holds no users"),
        ("people.csv", "email,colour\n", "colour"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(admin, tmp_path, called, content, said):
    path = tmp_path / called
    path.write_text(content)
    assert said in one_line(admin.qm("user", "bulk", str(path)))
