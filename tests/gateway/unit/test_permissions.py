import pytest

from services.gateway.api.routing import OPERATION, Operation
from services.gateway.application import ROUTES
from services.gateway.auth.permissions import (
    PUBLIC,
    RULES,
    Verdict,
    capabilities,
    judge,
    may,
)
from services.gateway.auth.principals import Principal

ROLES = ("superadmin", "admin", "user", "monitor")
PUBLIC_PATHS = {"/v1/auth/login", "/openapi.json", "/docs"}


def principal(role, user_id="me", domain="default"):
    return Principal(user_id=user_id, role=role, domain=domain, method="token")


@pytest.mark.parametrize("handler", ROUTES, ids=lambda handler: min(handler.paths))
def test_every_route_names_an_action_that_has_a_rule(handler):
    operation = handler.opt.get(OPERATION)
    assert isinstance(operation, Operation)
    assert operation.action == PUBLIC or operation.action in RULES


def test_only_logging_in_and_the_documentation_are_public():
    public = {
        path
        for handler in ROUTES
        if handler.opt[OPERATION].action == PUBLIC
        for path in handler.paths
    }
    assert public == PUBLIC_PATHS


def test_every_rule_is_used_or_belongs_to_the_console_or_to_a_member_of_a_body():
    used = {handler.opt[OPERATION].action for handler in ROUTES}
    assert set(RULES) - used <= {"console", "sessions.designate"}


def test_a_monitor_changes_nothing_but_the_own_log_in_and_profile():
    changing = {"create", "update", "terminate", "delete"}
    assert [
        name for name in capabilities(principal("monitor")) if name.split(".")[-1] in changing
    ] == ["profile.update"]


def test_only_the_superadmin_creates_users_and_switches_agents():
    for action in ("users.create", "agents.update"):
        assert [role for role in ROLES if may(principal(role), action)] == ["superadmin"]


def test_what_is_out_of_sight_is_hidden_and_what_is_seen_but_fixed_is_forbidden():
    def verdict(role, owner, domain):
        return judge(
            principal(role),
            "sessions.terminate",
            read_action="sessions.read",
            owner=owner,
            domain=domain,
        )

    assert verdict("user", "me", "default") is Verdict.ALLOWED
    assert verdict("user", "other", "default") is Verdict.HIDDEN
    assert verdict("admin", "other", "default") is Verdict.ALLOWED
    assert verdict("admin", "other", "elsewhere") is Verdict.HIDDEN
    assert verdict("monitor", "other", "elsewhere") is Verdict.FORBIDDEN
    assert verdict("superadmin", "other", "elsewhere") is Verdict.ALLOWED
