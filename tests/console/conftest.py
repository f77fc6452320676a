from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from deploy.embedded.ports import free_port
from shared.testing.installation import Installation
from tests.console.browser import CHROMIUM_ARGUMENTS, CHROMIUM_PATH

WATCH = """
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => {
        window.violations.push(`${event.violatedDirective}: ${event.blockedURI}`);
    });
"""
# nothing here is about how long a page takes, and a machine may be busy
expect.set_options(timeout=30_000)

BROKEN_OFF = {"htmx:afterRequest", "htmx:sendAbort"}


class Reader:
    """A person with a browser of their own; everything odd that it notices is kept."""

    def __init__(self, browser: Browser, endpoint: str, **options) -> None:
        self.endpoint = endpoint
        options = {"locale": "en-US", "viewport": {"width": 1440, "height": 900}} | options
        self.context: BrowserContext = browser.new_context(base_url=endpoint, **options)
        self.context.set_default_timeout(15_000)
        self.problems: list[str] = []
        self.has_scripts = options.get("java_script_enabled", True)
        if self.has_scripts:
            self.context.add_init_script(WATCH)
        self.context.on("request", self._request)
        self.page = self.open()

    def open(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("console", self._console)
        return page

    def bring(self, token: str) -> "Reader":
        """Come with the cookie of an earlier log-in."""
        cookie = {"name": "qm_session", "value": token, "url": self.endpoint}
        self.context.add_cookies([cookie])
        self.page.goto("/console/sessions")
        return self

    def log_in(self, email: str, password: str) -> "Reader":
        self.page.goto("/console/login")
        self.page.fill("#email", email)
        self.page.fill("#password", password)
        self.page.click("form[action='/console/login'] button[type=submit]")
        self.page.wait_for_url("**/console/sessions")
        return self

    def violations(self) -> list[str]:
        if not self.has_scripts:
            return []
        return [text for page in self.context.pages for text in page.evaluate("violations")]

    def _request(self, request) -> None:
        if not request.url.startswith((self.endpoint, "data:", "about:")):
            self.problems.append(f"asked elsewhere: {request.url}")

    def _console(self, message) -> None:
        # A refused form is answered 4xx and the browser notes each such answer by itself. What is
        # read again when somebody searches is broken off on purpose, which htmx calls an error.
        expected = "Failed to load resource" in message.text
        if message.type == "error" and not expected and message.text not in BROKEN_OFF:
            self.problems.append(f"console: {message.text}")


@pytest.fixture(scope="package")
def installation(tmp_path_factory) -> Iterator[Installation]:
    """One whole installation for all tests of this package."""
    made = Installation(tmp_path_factory.mktemp("console") / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="package")
def client(installation) -> Iterator[httpx.Client]:
    """A client logged in as the first administrator."""
    with closing(installation.client()) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser. Its driver keeps an event loop running, so it must not outlive these tests."""
    with sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM_PATH, args=list(CHROMIUM_ARGUMENTS))
        yield made
        made.close()


@pytest.fixture
def visit(browser, installation):
    """Open a browser for a new reader; at the end nothing odd may have happened in any."""
    readers: list[Reader] = []

    def come(**options) -> Reader:
        readers.append(Reader(browser, installation.endpoint, **options))
        return readers[-1]

    yield come
    odd = [text for reader in readers for text in (*reader.problems, *reader.violations())]
    for reader in readers:
        reader.context.close()
    assert odd == []


@pytest.fixture
def enter(visit, client):
    """Open a browser for the first administrator, logged in; `options` are the browser's."""
    token = client.headers["Authorization"].removeprefix("Bearer ")

    def come(**options) -> Reader:
        return visit(**options).bring(token)

    return come


@pytest.fixture
def admin(enter):
    """The first administrator, logged in."""
    return enter()
