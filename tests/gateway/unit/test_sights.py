import pytest

from services.gateway.api.lists import RESOURCES
from services.gateway.auth.permissions import RULES
from services.gateway.auth.principals import Principal
from services.gateway.http.parameters import ListQuery, encode_cursor, parse_list
from services.gateway.reads.statements import Statement, page_statement
from services.gateway.reads.users import LOGINS, USERS
from shared.kernel.rejections import Rejection

ALL = [*(resource for resource, _ in RESOURCES.values()), LOGINS]
ROOT = Principal(user_id="u", role="superadmin", domain="d", method="token")


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.noun)
def test_every_narrow_scope_of_a_list_says_which_rows_it_means(resource):
    for action in (resource.list_action, resource.read_action):
        narrow = set(RULES[action]) - {"all", "none"}
        assert narrow <= set(resource.sights), action


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: resource.noun)
def test_every_list_can_be_sorted_as_it_says(resource):
    for field in resource.spec.fields:
        query = parse_list(resource.spec, f"sort=-{field.name}" if field.sortable else "")
        assert isinstance(query, ListQuery)
        assert isinstance(page_statement(resource, ROOT, None, query), Statement)


def test_what_a_caller_gives_is_always_a_parameter():
    nasty = "x'; drop table users; --"
    query = parse_list(USERS.spec, f"email={nasty}&role=user&limit=5&offset=3")
    statement = page_statement(USERS, ROOT, "domain = {domain}", query)
    assert "drop table" not in statement.sql
    assert f"%{nasty}%" in statement.parameters[1]
    assert statement.parameters[0] == "d"


@pytest.mark.parametrize("value", [5, True, "not a time", "2020-01-01"])
def test_a_cursor_whose_value_does_not_fit_its_column_is_refused(value):
    sort = parse_list(USERS.spec, "").sort
    cursor = encode_cursor(sort, (value, "id"))
    query = parse_list(USERS.spec, f"cursor={cursor}")
    assert isinstance(page_statement(USERS, ROOT, None, query), Rejection)
