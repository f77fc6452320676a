"""Looks at the pages without a gateway: `python -m tests.console.preview FOLDER [PAGE ...]`.

Writes a picture of each page for every language, theme and width.
"""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Browser, Route, async_playwright

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

    async def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        asset = self._assets.find(path)
        if asset is not None:
            await route.fulfill(body=asset.content, content_type=asset.content_type)
        elif path.startswith("/v1/"):
            await route.fulfill(body="step 1\nstep 2\n", content_type="text/plain")
        else:
            _, language, name = path.split("/")
            await route.fulfill(body=self.pages[language, name], content_type="text/html")

    async def picture(self, browser: Browser, language: str, name: str, folder: Path) -> None:
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                viewport = {"width": width, "height": 900}
                context = await browser.new_context(viewport=viewport, color_scheme=scheme)
                await context.add_init_script(LIVE)
                await context.route("**/*", self.answer)
                page = await context.new_page()
                await page.goto(f"{ORIGIN}/{language}/{name}", wait_until="networkidle")
                await page.screenshot(path=folder / f"{name}-{language}-{width}-{scheme}.png")
                await context.close()


async def main(folder: Path, only: set[str]) -> None:
    preview = Preview()
    async with async_playwright() as driver:
        arguments = list(CHROMIUM_ARGUMENTS)
        browser = await driver.chromium.launch(executable_path=CHROMIUM_PATH, args=arguments)
        for language, name in preview.pages:
            if not only or name in only:
                await preview.picture(browser, language, name, folder)
        await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target, set(sys.argv[2:])))
