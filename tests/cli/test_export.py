"""`qm export` against a whole installation."""

import csv
import io

import pytest

from tests.cli.conftest import one_line

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("in_process")]


def test_a_list_is_written_with_the_columns_and_rows_that_were_asked_for(admin, person, tmp_path):
    given = ("export", "users", "--columns", "id,email", "--filter", f"id={person['id']}")
    done = admin.qm(*given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["id,email", f"{person['id']},{person['email']}"]
    path = tmp_path / "users.csv"
    assert admin.qm(*given, "--output", str(path)).returncode == 0
    assert path.read_bytes() == f"id,email\r\n{person['id']},{person['email']}\r\n".encode()
    assert "exists" in one_line(admin.qm(*given, "-o", str(path)))
    assert admin.qm(*given, "-o", str(path), "--force").returncode == 0
    assert list(tmp_path.glob("*.part")) == []


def test_everybody_exports_what_they_see(admin, own, person):
    done = own.qm("export", "keypairs")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["access_key"] for row in rows] == [person["main_access_key"]]
    one_line(own.qm("export", "events"))
    done = admin.qm("export", "events", "--filter", f"id={person['id']}", "--columns", "type")
    assert "UserCreated" in done.stdout.splitlines()


def test_what_an_export_does_not_know_leaves_no_file(admin, tmp_path):
    path = tmp_path / "no.csv"
    refused = one_line(admin.qm("export", "users", "--columns", "id,nope", "-o", str(path)))
    assert "nope" in refused
    assert list(tmp_path.glob("no*")) == []
    assert admin.qm("export", "users", "--filter", "status").returncode == 2
