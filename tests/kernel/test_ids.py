from datetime import UTC, datetime, timedelta

import pytest

from shared.contracts import subjects
from shared.kernel import ids


def test_ids_sort_by_the_time_they_were_made():
    made = [ids.new_id() for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000


def test_an_id_tells_when_it_was_made():
    age = datetime.now(tz=UTC) - ids.made_at(ids.new_id())
    assert timedelta(milliseconds=-5) < age < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["", "x", "0192F0C1-0000-7000-8000-000000000000", "1" * 36])
def test_what_is_not_canonical_is_no_id(text):
    assert not ids.is_id(text)


def test_a_subject_token_never_holds_what_the_bus_forbids():
    assert subjects.token("a b.*>é") == "a=20b=2E=2A=3E=C3=A9"
    assert subjects.token("plain_id-1") == "plain_id-1"


def test_different_names_never_share_a_token():
    names = ["a.b", "a=2Eb", "a b", "a=20b", "ab"]
    assert len({subjects.token(name) for name in names}) == len(names)
