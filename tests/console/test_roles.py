"""What a reader sees and may press follows from their role, and nothing else does."""

import uuid

import pytest
from playwright.sync_api import expect

from shared.testing.installation import submit, wait_status

pytestmark = pytest.mark.console

PASSWORD = "Console-Reader-7"


@pytest.fixture
def newcomer(client, visit):
    """Make a user of a role, and let them log in."""

    def come(role):
        unique = uuid.uuid4().hex[:8]
        body = {
            "email": f"{role}-{unique}@example.org",
            "username": f"{role}-{unique}",
            "password": PASSWORD,
            "role": role,
            "password_change_required": True,
        }
        made = client.post("/v1/users", json=body)
        assert made.status_code == 201, made.text
        return visit().log_in(body["email"], PASSWORD)

    return come


@pytest.fixture
def others(client):
    """A session of the administrator's."""
    body = {
        "name": f"private-{uuid.uuid4().hex[:8]}",
        "type": "batch",
        "image": "local/host:latest",
        "resources": {"cpu": "0.1", "mem": "64m"},
        "command": ["sleep", "300"],
    }
    made = wait_status(client, submit(client, body)["id"], {"RUNNING"})
    yield made
    client.delete(f"/v1/sessions/{made['id']}?forced=true")


def test_a_user_sees_their_own_sessions_only(newcomer, others):
    page = newcomer("user").page
    expect(page.locator("#sessions")).to_contain_text("No sessions yet")
    expect(page.locator("nav.nav a")).to_have_text(["Sessions"])
    expect(page.get_by_text("Please change it")).to_be_visible()
    expect(page.get_by_text("New session").first).to_be_visible()
    for path in (f"/console/sessions/{others['id']}", f"/console/sessions/{others['id']}/state"):
        assert page.goto(path).status == 404
    assert page.goto("/console/agents").status == 403
    assert page.goto("/console/queue").status == 403


def test_a_monitor_sees_everything_and_may_press_nothing(newcomer, others):
    page = newcomer("monitor").page
    expect(page.locator("#sessions tr", has_text=others["name"])).to_contain_text("Running")
    expect(page.get_by_text("New session")).to_have_count(0)
    expect(page.locator("#sessions .action-cell a")).to_have_count(0)
    page.goto(f"/console/sessions/{others['id']}")
    expect(page.locator("#detail")).to_be_visible()
    expect(page.locator("#log")).to_have_count(0)
    page.goto("/console/agents")
    expect(page.get_by_role("switch")).to_have_count(0)
    assert page.goto(f"/console/sessions/{others['id']}/terminate").status == 403
