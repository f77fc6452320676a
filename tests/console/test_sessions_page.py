"""The sessions page in a real browser, on a real installation."""

import signal
import uuid
from os import kill

import pytest
from playwright.sync_api import Route, expect

from shared.testing.installation import submit, wait_status

pytestmark = pytest.mark.console

SMALL = {"cpu": "0.25", "mem": "64m"}


def name(stem):
    return f"{stem}-{uuid.uuid4().hex[:8]}"


def batch(called, *command, **more):
    body = {"name": called, "type": "batch", "image": "local/host:latest", "resources": SMALL}
    return body | {"command": list(command)} | more


def row(page, called):
    return page.locator("#sessions tr", has_text=called)


def fill_in(page, called, command, cpu="0.25", mem="64m"):
    page.click("text=New session")
    form = page.locator("#new-session")
    form.locator("#name").fill(called)
    form.locator("#command").fill(command)
    form.locator("#cpu").fill(cpu)
    form.locator("#mem").fill(mem)
    return form


def test_a_session_is_submitted_and_seen_to_its_end_without_a_reload(admin):
    page, called = admin.page, name("hello")
    page.evaluate("window.sameDocument = true")
    fill_in(page, called, "sh -c 'echo \"hello console\"; exit 3'").locator("[type=submit]").click()
    expect(page.locator("#dialog")).not_to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("submitted")
    expect(row(page, called)).to_contain_text("Terminated")
    expect(row(page, called)).to_contain_text("exit code 3")
    assert page.evaluate("window.sameDocument") is True

    row(page, called).get_by_role("link", name=called).first.click()
    drawer = page.locator("#drawer")
    expect(drawer.locator("#log")).to_contain_text("hello console")
    expect(drawer.locator(".steps li").first).to_contain_text("Pending")
    expect(drawer.locator(".steps li").last).to_contain_text("Terminated")
    page.keyboard.press("Escape")
    expect(drawer).not_to_be_visible()
    expect(row(page, called).get_by_role("link", name=called).first).to_be_focused()


def test_what_happens_elsewhere_is_seen_here(admin, client):
    page, called = admin.page, name("elsewhere")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    made = submit(client, batch(called, "sleep", "120"))
    expect(row(page, called)).to_contain_text("Running")
    client.delete(f"/v1/sessions/{made['id']}")
    expect(row(page, called)).to_contain_text("Terminated")
    expect(row(page, called)).to_contain_text("by its user")
    expect(page.locator("#said")).to_contain_text(f"{called}: Terminated")


def test_a_log_is_followed_while_it_is_written(admin, client):
    page, called = admin.page, name("follow")
    script = 'echo first; while [ ! -e go ]; do sleep 0.05; done; echo "second line"'
    made = submit(client, batch(called, "sh", "-c", f"(sleep 2; touch go) & {script}"))
    page.goto(f"/console/sessions/{made['id']}")
    expect(page.locator("#log")).to_contain_text("first")
    expect(page.locator("#log")).to_contain_text("second line")
    expect(page.locator("#state")).to_have_attribute("data-status", "TERMINATED")


def test_a_wrong_form_says_what_is_wrong_in_place_and_keeps_what_was_typed(admin):
    page, called = admin.page, name("wrong")
    form = fill_in(page, called, "echo 'unclosed", cpu="two")
    form.locator("[type=submit]").click()
    expect(page.locator("#command-error")).to_contain_text("never closed")
    expect(page.locator("#command")).to_have_attribute("aria-invalid", "true")
    assert page.locator("#name").input_value() == called
    assert page.locator("#cpu").input_value() == "two"

    page.locator("#command").fill("echo closed")
    page.locator("#new-session [type=submit]").click()
    expect(page.locator("#cpu-error")).to_contain_text("two")
    page.locator("#cpu").fill("0.25")
    page.locator("#new-session [type=submit]").click()
    expect(row(page, called)).to_contain_text("Terminated")


def test_terminating_asks_first_and_then_ends_the_session(admin, client):
    page, called = admin.page, name("stop-me")
    made = submit(client, batch(called, "sleep", "300"))
    wait_status(client, made["id"], {"RUNNING"})
    row(page, called).get_by_role("link", name=f"Terminate {called}").click()
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text(f"Terminate {called}?")
    dialog.get_by_text("Keep it").click()
    expect(dialog).not_to_be_visible()
    assert client.get(f"/v1/sessions/{made['id']}").json()["status"] == "RUNNING"

    row(page, called).get_by_role("link", name=f"Terminate {called}").click()
    dialog.get_by_role("button", name="Terminate").click()
    expect(row(page, called)).to_contain_text("Terminated")
    expect(row(page, called).get_by_role("link", name=f"Terminate {called}")).to_have_count(0)


def test_a_running_session_is_restarted_from_its_drawer(admin, client):
    page, called = admin.page, name("again")
    made = submit(client, batch(called, "sh", "-c", "echo begun; sleep 300", type="interactive"))
    wait_status(client, made["id"], {"RUNNING"})
    row(page, called).get_by_role("link", name=called).first.click()
    drawer, dialog = page.locator("#drawer"), page.locator("#dialog")
    drawer.get_by_role("link", name="Restart").click()
    expect(dialog).to_contain_text(f"Restart {called}?")
    dialog.get_by_role("button", name="Restart").click()
    expect(page.locator("#toasts")).to_contain_text("told to restart")
    expect(drawer.locator(".steps")).to_contain_text("Restarting")
    # both lives of it are in the log that is followed
    expect(drawer.locator("#log")).to_have_text("begun\nbegun\n")
    expect(drawer.locator("#state")).to_have_attribute("data-status", "RUNNING")
    client.delete(f"/v1/sessions/{made['id']}?forced=true")
    expect(drawer.get_by_role("link", name="Restart")).to_have_count(0)


def test_a_list_is_searched_and_narrowed_in_its_address(admin, client):
    page, called = admin.page, name("findable")
    made = submit(client, batch(called, "true"))
    wait_status(client, made["id"], {"TERMINATED"})
    page.fill("#search", called)
    page.wait_for_url(f"**/console/sessions?name={called}")
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    page.locator("#tabs").get_by_text("Running").click()
    page.wait_for_url(f"**/console/sessions?name={called}&tab=running")
    expect(page.locator("#sessions")).to_contain_text("Nothing matches")


def test_a_search_is_shown_also_when_the_list_is_read_again_meanwhile(admin, client):
    page, called = admin.page, name("overtaken")
    made = submit(client, batch(called, "true"))
    wait_status(client, made["id"], {"TERMINATED"})
    page.goto("/console/sessions")
    found = f"**/console/sessions?name={called}"
    searches: list[Route] = []
    page.route(found, lambda route, _: searches.append(route))
    page.fill("#search", called)
    page.evaluate(
        """() => new Promise((done) => addEventListener("htmx:beforeRequest", ({ detail }) => {
            if (detail.elt.id !== "search") return;
            setTimeout(() => { htmx.trigger("#sessions", "refresh"); done(); });
        }))"""
    )
    page.evaluate("htmx.trigger('#sessions', 'refresh')")
    expect(row(page, called)).to_be_visible()
    with page.expect_response(found):
        searches.pop().continue_()
        page.unroute(found)
    expect(page.locator("#sessions tbody tr")).to_have_count(1)
    expect(row(page, called)).to_be_visible()


def test_a_list_that_was_read_before_a_change_does_not_stay(admin, client):
    page, called = admin.page, name("outrun")
    made = submit(client, batch(called, "sleep", "300"))
    expect(row(page, called)).to_contain_text("Running", timeout=30_000)
    before = page.request.get("/console/sessions", headers={"HX-Request": "true"})
    assert called in before.text()
    held: list[Route] = []
    page.clock.install()
    page.route("**/console/sessions", lambda route, _: held.append(route), times=1)
    page.evaluate("htmx.trigger('#sessions', 'refresh')")
    client.delete(f"/v1/sessions/{made['id']}")
    expect(row(page, called)).to_contain_text("Terminated", timeout=30_000)
    page.clock.run_for(2_000)  # whatever was put off is tried now
    page.evaluate(
        """() => { window.swapped = new Promise((done) => addEventListener(
            "htmx:afterSwap", () => done(true))); }"""
    )
    held.pop().fulfill(response=before)
    assert page.evaluate("() => swapped")
    expect(row(page, called)).to_contain_text("Terminated")


def test_an_answer_that_is_no_page_changes_nothing_and_is_asked_for_again(admin, client):
    page, called = admin.page, name("starting")
    problem = {"status": 503, "code": "starting", "detail": "The service is starting."}
    answers: list[Route] = []

    def refuse(route: Route) -> None:
        answers.append(route)
        route.fulfill(status=503, json=problem, content_type="application/problem+json")

    expect(page.locator("body")).to_have_attribute("data-live", "on")
    page.route("**/console/sessions", refuse)
    page.route("**/console/troubles", refuse)
    with page.expect_response("**/console/sessions"), page.expect_response("**/console/troubles"):
        for part in ("#sessions", "#troubles"):
            page.evaluate("(part) => htmx.trigger(part, 'refresh')", part)
    page.unroute_all()
    assert answers
    submit(client, batch(called, "true"))
    expect(row(page, called)).to_contain_text("Terminated")
    expect(page.locator("#main")).not_to_contain_text("urn:")
    expect(page.locator("#main")).not_to_contain_text("starting.")
    admin.problems.clear()  # the refused answers are in the browser's console


def test_a_refusal_that_is_no_page_is_said_and_the_form_stays(admin):
    page, called = admin.page, name("refused")
    form = fill_in(page, called, "true")
    problem = {"status": 503, "code": "starting", "detail": "The service is starting."}
    page.route(
        "**/console/sessions",
        lambda route: route.fulfill(
            status=503, json=problem, content_type="application/problem+json"
        ),
    )
    form.locator("[type=submit]").click()
    expect(page.locator("#toasts")).to_contain_text("The service is starting.")
    expect(form.locator("#name")).to_have_value(called)
    page.unroute_all()
    form.locator("[type=submit]").click()
    expect(row(page, called)).to_contain_text("Terminated")
    admin.problems.clear()  # the refused answer is in the browser's console


def test_one_lost_request_is_made_again_and_the_page_is_live_again(admin, client):
    page, called = admin.page, name("dropped")
    lost = page.locator("#lost-note")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    page.route("**/console/sessions", lambda route: route.abort())
    page.evaluate("htmx.trigger('#sessions', 'refresh')")
    expect(lost).to_be_visible()
    page.unroute_all()
    expect(lost).not_to_be_visible()
    submit(client, batch(called, "true"))
    expect(row(page, called)).to_contain_text("Terminated")
    admin.problems.clear()  # the aborted request is in the browser's console


def test_while_the_scheduler_is_away_pages_are_read_and_a_form_keeps_its_input(admin, installation):
    page, called = admin.page, name("later")
    scheduler = installation.pid("scheduler")
    kill(scheduler, signal.SIGSTOP)
    try:
        form = fill_in(page, called, "true")
        form.locator("[type=submit]").click()
        expect(page.locator("#new-session .note")).to_be_visible(timeout=30_000)
        assert page.locator("#name").input_value() == called
        page.keyboard.press("Escape")
        away = page.locator("#troubles", has_text="scheduler service is away")
        expect(away).to_be_visible(timeout=30_000)
        page.goto("/console/sessions")
        expect(page.locator("h1")).to_have_text("Sessions")
        expect(away).to_be_visible()
    finally:
        kill(scheduler, signal.SIGCONT)
    expect(away).to_have_count(0, timeout=30_000)
    fill_in(page, f"{called}-again", "true").locator("[type=submit]").click()
    expect(row(page, f"{called}-again")).to_contain_text("Terminated", timeout=60_000)


def test_a_page_that_lost_its_gateway_says_so_and_catches_up_by_itself(admin, client, installation):
    page, called = admin.page, name("meanwhile")
    expect(page.locator("body")).to_have_attribute("data-live", "on")
    killed = installation.kill("gateway")
    expect(page.locator("#lost-note")).to_be_visible()
    installation.wait_replaced("gateway", killed)
    submit(client, batch(called, "true"))
    expect(row(page, called)).to_contain_text("Terminated", timeout=30_000)
    expect(page.locator("#lost-note")).not_to_be_visible()
    admin.problems.clear()  # what the browser noted while nobody answered


def test_two_readers_see_the_same_change(admin, enter):
    other = enter()
    called = name("both")
    fill_in(admin.page, called, "true").locator("[type=submit]").click()
    for reader in (admin, other):
        expect(row(reader.page, called)).to_contain_text("Terminated")
