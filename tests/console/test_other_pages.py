"""Log-in, queue and agents in a real browser; every change without scripts too."""

import uuid

import pytest
from playwright.sync_api import expect

from shared.testing.installation import submit, wait_status

pytestmark = pytest.mark.console


def body(called, cpu, *command):
    return {
        "name": called,
        "type": "batch",
        "image": "local/host:latest",
        "resources": {"cpu": cpu, "mem": "64m"},
        "command": list(command),
    }


def test_a_wrong_password_is_said_in_place_and_the_e_mail_is_kept(visit, installation):
    page = visit().page
    page.goto("/console/queue?group=default")
    page.wait_for_url("**/console/login?back=*")
    who = installation.credentials()
    page.fill("#email", who["email"])
    page.fill("#password", "not it 1!")
    page.click("form[action='/console/login'] button")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    assert page.input_value("#email") == who["email"]
    assert page.input_value("#password") == ""
    page.fill("#password", who["password"])
    page.click("form[action='/console/login'] button")
    page.wait_for_url("**/console/queue?group=default")
    page.click("text=Log out")
    page.wait_for_url("**/console/login?done=logged_out")
    expect(page.get_by_role("status")).to_contain_text("You are logged out.")
    page.goto("/console/sessions")
    page.wait_for_url("**/console/login?*")


def test_a_queue_shows_positions_and_reasons_and_moves_by_itself(admin, client):
    agent = client.get("/v1/agents").json()["items"][0]
    all_of_it = agent["available_slots"]["cpu"]
    unique = uuid.uuid4().hex[:6]
    holder = submit(client, body(f"holder-{unique}", all_of_it, "sleep", "300"))
    wait_status(client, holder["id"], {"RUNNING"})
    waiting = [
        submit(client, body(f"waits-{number}-{unique}", all_of_it, "true")) for number in (1, 2)
    ]
    page = admin.page
    page.click("nav >> text=Pending queue")
    rows = page.locator("#queue tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("#1")
    expect(rows.nth(0)).to_contain_text(f"waits-1-{unique}")
    expect(rows.nth(0)).to_contain_text("CPU")
    client.delete(f"/v1/sessions/{holder['id']}")
    expect(page.locator("#queue")).to_contain_text("Nothing waits", timeout=30_000)
    for made in waiting:
        wait_status(client, made["id"], {"TERMINATED"})


def test_an_agent_is_switched_off_and_on_and_says_what_it_enforces(admin, client):
    page = admin.page
    page.click("nav >> text=Agents")
    switch = page.get_by_role("switch")
    expect(switch).to_have_attribute("aria-checked", "true")
    switch.click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    assert client.get("/v1/agents").json()["items"][0]["schedulable"] is False
    page.get_by_role("switch").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    page.locator("#agents .row-name").click()
    expect(page.locator("#drawer .isolation li")).not_to_have_count(0)
    expect(page.locator("#drawer")).to_contain_text("Memory limit")
    page.keyboard.press("Escape")
    page.click("text=Lost and stopped")
    expect(page.locator("#agents")).to_contain_text("None is lost or stopped")


def test_everything_works_without_scripts(visit, installation, client):
    who = installation.credentials()
    reader = visit(java_script_enabled=False).log_in(who["email"], who["password"])
    page, called = reader.page, f"plain-{uuid.uuid4().hex[:8]}"
    page.click("text=New session")
    page.fill("#name", called)
    page.fill("#cpu", "nothing")
    page.fill("#command", "sh -c 'echo plain text; sleep 300'")
    page.click("button:has-text('Submit')")
    expect(page.locator("#cpu-error")).to_be_visible()
    assert page.input_value("#name") == called
    page.fill("#cpu", "0.25")
    page.fill("#mem", "64m")
    page.click("button:has-text('Submit')")
    page.wait_for_url("**/console/sessions/*?done=submitted")
    session_id = page.url.partition("?")[0].rpartition("/")[2]
    wait_status(client, session_id, {"RUNNING"})
    page.goto("/console/sessions")
    expect(page.locator("#sessions tr", has_text=called)).to_contain_text("Running")
    page.click(f"a:has-text('{called}')")
    expect(page.locator("#log")).to_contain_text("plain text")
    page.click("a:has-text('Terminate')")
    page.check("[name=forced]")
    page.click("button:has-text('Terminate')")
    page.wait_for_url("**?done=terminating")
    wait_status(client, session_id, {"TERMINATED"})

    page.goto("/console/agents")
    page.get_by_role("switch").click()
    page.wait_for_url("**/console/agents?done=changed")
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "false")
    page.get_by_role("switch").click()
    expect(page.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    page.click("text=Log out")
    page.wait_for_url("**/console/login?done=logged_out")


def test_the_language_follows_the_browser_and_then_the_reader_s_choice(enter):
    page = enter(locale="ko-KR").page
    expect(page.locator("h1")).to_have_text("세션")
    assert page.get_attribute("html", "lang") == "ko"
    page.click("button:has-text('English')")
    expect(page.locator("h1")).to_have_text("Sessions")
    page.goto("/console/agents")
    expect(page.locator("h1")).to_have_text("Agents")


def test_the_theme_is_remembered(admin):
    page = admin.page
    page.click("button:has-text('Dark')")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/console/queue")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_an_announcement_is_read_by_everybody_and_follows_the_setting(admin, visit, client):
    page, gate = admin.page, visit().page
    shown = page.locator("#announcement")
    text = f"Maintenance {uuid.uuid4().hex[:6]}\non <Friday> & Saturday"
    try:
        assert client.patch("/v1/settings", json={"announcement": text}).is_success
        expect(shown).to_contain_text(text.splitlines()[0])
        expect(shown).to_contain_text("on <Friday> & Saturday")
        gate.goto("/console/login")
        expect(gate.locator("main")).to_contain_text("on <Friday> & Saturday")
    finally:
        assert client.delete("/v1/settings/announcement").is_success
    expect(shown).not_to_contain_text("Friday")
