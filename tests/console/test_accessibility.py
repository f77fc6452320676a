"""The pages can be read and used by everybody: names, labels, keyboard, contrast, small screens."""

import uuid

import pytest
from playwright.sync_api import expect

from shared.testing.installation import submit, wait_status
from tests.console.preview import Preview

pytestmark = pytest.mark.console

PAGES = ("/console/sessions", "/console/sessions/new", "/console/queue", "/console/agents")

# Everything that can be used has a name, every input a label; ids are unique, headings are there.
UNNAMED = """() => {
    const named = (element) => Boolean(
        element.getAttribute("aria-label") || element.title || element.textContent.trim() ||
        (element.labels && element.labels.length));
    const found = [...document.querySelectorAll("a, button, input, select, textarea, progress")]
        .filter((element) => element.type !== "hidden" && !named(element))
        .map((element) => element.outerHTML.slice(0, 120));
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    const twice = ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`);
    if (document.querySelectorAll("h1").length !== 1 && !document.querySelector(".sheet h2"))
        found.push("no heading");
    return [...found, ...twice];
}"""

# The contrast of each piece of text with what is behind it, as WCAG counts it; below 4.5 is told.
FAINT = """() => {
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        paint.clearRect(0, 0, 1, 1);
        paint.fillStyle = colour;
        paint.fillRect(0, 0, 1, 1);
        return [...paint.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
    };
    const over = (top, under) => top.slice(0, 3).map(
        (part, at) => part * top[3] + under[at] * (1 - top[3]));
    const light = (colour) => colour
        .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement)
            layers.push(rgba(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((under, top) => over(top, under), [1, 1, 1]);
    };
    const faint = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || !element.checkVisibility()) continue;
        const ground = behind(element);
        const ink = over(rgba(getComputedStyle(element).color), ground);
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5)
            faint.push(`${ratio.toFixed(2)} ${element.className}: ${element.textContent.trim()}`);
    }
    return faint;
}"""


@pytest.fixture
def ended(client):
    body = {
        "name": f"seen-{uuid.uuid4().hex[:8]}",
        "type": "batch",
        "image": "local/host:latest",
        "resources": {"cpu": "0.1", "mem": "64m"},
        "command": ["sh", "-c", "exit 1"],
    }
    return wait_status(client, submit(client, body)["id"], {"TERMINATED"})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_every_text_can_be_read(browser, scheme):
    preview = Preview()
    page = preview.open(browser, color_scheme=scheme, reduced_motion="reduce")
    for language, name in preview.pages:
        preview.show(page, language, name)
        assert page.evaluate(UNNAMED) == [], name
        assert page.evaluate(FAINT) == [], name
    page.context.close()


def test_a_session_is_opened_and_left_by_keyboard_alone(enter, ended):
    page = enter().page
    page.goto(f"/console/sessions?name={ended['name']}")
    link = page.locator("#sessions .row-name")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#drawer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(link).not_to_be_focused()


def test_the_first_tab_leads_past_the_navigation(enter):
    page = enter().page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("width", [1440, 768, 390, 320])
def test_no_page_is_wider_than_its_screen(enter, ended, width):
    page = enter(viewport={"width": width, "height": 800}).page
    for path in (*PAGES, f"/console/sessions/{ended['id']}"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, path
