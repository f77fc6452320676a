"""Looks at the pages without a gateway: `python -m tests.console.preview FOLDER [PAGE ...]`.

Writes a picture of each page for every language, theme and width.
"""

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

from services.gateway.pages.assets import load_assets
from services.gateway.pages.languages import LANGUAGES
from services.gateway.pages.rendering import Renderer
from tests.console.browser import CHROMIUM_ARGUMENTS, CHROMIUM_PATH
from tests.console.preview_pages import Samples

ORIGIN = "http://console.test"
WIDTHS = (1440, 390)
LIVE = """
    window.EventSource = class extends EventTarget {
        constructor() { super(); setTimeout(() => this.onopen?.(), 0); }
        close() {}
    };
"""


class Preview:
    """Serves rendered samples to a browser that asks for them."""

    def __init__(self) -> None:
        self._assets = load_assets()
        renderer = Renderer(self._assets)
        self.pages = {
            (language, name): renderer.render(language, template, given)
            for language in LANGUAGES
            for name, (template, given) in Samples(language).all().items()
        }

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        asset = self._assets.find(path)
        if asset is not None:
            route.fulfill(body=asset.content, content_type=asset.content_type)
        elif path.startswith("/v1/"):
            route.fulfill(body="step 1\nstep 2\n", content_type="text/plain")
        else:
            _, language, name = path.split("/")
            route.fulfill(body=self.pages[language, name], content_type="text/html")

    def open(self, browser: Browser, **options: Any) -> Page:
        """Open a window in which the samples are served."""
        context = browser.new_context(**options)
        context.add_init_script(LIVE)
        context.route("**/*", self.answer)
        return context.new_page()

    def show(self, page: Page, language: str, name: str) -> None:
        """Show one sample."""
        page.goto(f"{ORIGIN}/{language}/{name}")


def picture(preview: Preview, browser: Browser, language: str, name: str, folder: Path) -> None:
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            viewport = {"width": width, "height": 900}
            page = preview.open(browser, viewport=viewport, color_scheme=scheme)
            preview.show(page, language, name)
            page.wait_for_load_state("networkidle")  # what is written after loading shows too
            page.screenshot(path=folder / f"{name}-{language}-{width}-{scheme}.png")
            page.context.close()


def main(folder: Path, only: set[str]) -> None:
    preview = Preview()
    with sync_playwright() as driver:
        arguments = list(CHROMIUM_ARGUMENTS)
        browser = driver.chromium.launch(executable_path=CHROMIUM_PATH, args=arguments)
        for language, name in preview.pages:
            if not only or name in only:
                picture(preview, browser, language, name, folder)
        browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target, set(sys.argv[2:]))
