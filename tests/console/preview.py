"""Looks at the pages without a gateway: `python -m tests.console.preview [folder]`.

Renders each page from the samples and writes a picture for every language, theme and width.
"""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace

from playwright.async_api import Route, async_playwright

from services.gateway.pages.assets import load_assets
from services.gateway.pages.forms import Form
from services.gateway.pages.listing import Listing
from services.gateway.pages.rendering import Renderer
from services.gateway.pages.words import Words
from services.gateway.pages.languages import translations
from tests.console.browser import CHROMIUM_ARGUMENTS, CHROMIUM_PATH
from tests.console.samples import AGENTS, LIMIT, REASON, SESSIONS, ago

ORIGIN = "http://console.test"
WIDTHS = (1440, 390)


def frame(language: str, page: str, **more) -> SimpleNamespace:
    name = translations(language).gettext
    pages = (("sessions", "Sessions"), ("queue", "Pending queue"), ("agents", "Agents"))
    navigation = [
        SimpleNamespace(href=f"/console/{key}", icon=key, title=name(text), is_current=key == page)
        for key, text in pages
    ]
    known = {
        "language": language,
        "theme": "",
        "csrf_token": "t",
        "navigation": navigation,
        "email": "admin@example.org",
        "role": "superadmin",
        "path": "/console/sessions",
        "other_languages": [("ko", "한국어") if language == "en" else ("en", "English")],
        "password_change_required": False,
        "done": "",
        "troubles": [],
    }
    return SimpleNamespace(**(known | more))


def tab(title: str, *, current: bool = False) -> SimpleNamespace:
    return SimpleNamespace(href="/console/sessions", title=title, is_current=current)


def pages(language: str) -> dict[str, tuple[str, dict]]:
    word = translations(language).gettext
    shown = {"frame": frame(language, "sessions"), "may": lambda _: True, "shows_owner": True}
    listing = Listing("/console/sessions", 134, 20, sort="-created_at", default_sort="-created_at")
    tabs = [tab(word("All"), current=True), tab(word("Pending")), tab(word("Running")), tab(word("Finished"))]
    listed = shown | {"sessions": SESSIONS, "list": listing, "tabs": tabs}
    entries = [
        {
            "session": item,
            "position": number,
            "reason": reason,
            "retries": 3 * number,
            "requested": item["requested"],
            "owner_name": item["owner"],
            "is_visible": True,
            "estimated_start": ago(-840) if number == 1 else None,
        }
        for number, (item, reason) in enumerate(zip(SESSIONS[:2] * 3, [REASON, LIMIT] * 3), 1)
    ]
    totals = SimpleNamespace(
        alive=4,
        known=5,
        sessions=24,
        slots=[
            SimpleNamespace(name="cpu", used="115", total="160"),
            SimpleNamespace(name="mem", used="301000000000", total="687194767360"),
            SimpleNamespace(name="cuda.device", used="23", total="24"),
        ],
    )
    group = [SimpleNamespace(name="default", scheduler="fifo"), SimpleNamespace(name="gpu", scheduler="drf")]
    typed = {
        "name": "warmup",
        "command": "python3 train.py",
        "cpu": "two",
        "mem": "8g",
        "count": "1",
        "image": "local/host:latest",
    }
    options = {
        "types": [(code, Words(translations(language)).label(code)) for code in ("batch", "interactive", "inference")],
        "images": [("local/host:latest", "local/host:latest")],
        "groups": [("default", "default")],
    }
    wrong = Form(values=typed, errors={"cpu": "cpu: 'two' is not an amount."}, refusal="")
    away = Form(values=typed, refusal="The scheduler does not answer. Nothing was submitted; try again in a moment.", will_pass=True)
    one = {"session": SESSIONS[7], "log": "step 1 loss=2.31\nstep 2 loss=2.08\nMemoryError\n", "may_read_log": True}
    return {
        "login": ("login/page.html", shown | {"form": Form(values={"email": "admin@example.org"}, refusal=word("E-mail")), "back": "", "asks_otp": False}),
        "sessions": ("sessions/page.html", listed),
        "sessions-empty": ("sessions/page.html", listed | {"sessions": [], "list": Listing("/console/sessions", 0, 20)}),
        "new": ("sessions/new.html", shown | options | {"form": wrong}),
        "new-away": ("sessions/new.html", shown | options | {"form": away, "frame": frame(language, "sessions", troubles=[{"service": "scheduler", "status": "away", "lag": None}], password_change_required=True)}),
        "detail": ("sessions/detail.html", shown | one),
        "detail-pending": ("sessions/detail.html", shown | one | {"session": SESSIONS[0], "log": ""}),
        "terminate": ("sessions/terminate.html", shown | {"session": SESSIONS[3], "form": Form()}),
        "queue": ("queue/page.html", shown | {"frame": frame(language, "queue"), "entries": entries, "groups": group, "group": "default", "list": Listing("/console/queue", 6, 50)}),
        "queue-empty": ("queue/page.html", shown | {"frame": frame(language, "queue"), "entries": [], "groups": group, "group": "default", "list": Listing("/console/queue", 0, 50)}),
        "agents": ("agents/page.html", shown | {"frame": frame(language, "agents"), "agents": AGENTS, "totals": totals, "tabs": [tab(word("Alive"), current=True), tab(word("Terminated"))], "list": Listing("/console/agents", 5, 50)}),
        "agent": ("agents/detail.html", shown | {"frame": frame(language, "agents"), "agent": AGENTS[0], "sessions": SESSIONS[3:5]}),
    }


async def main(folder: Path, only: set[str]) -> None:
    assets = load_assets()
    renderer = Renderer(assets)
    rendered = {
        (language, name): renderer.render(language, template, context)
        for language in ("en", "ko")
        for name, (template, context) in pages(language).items()
    }

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        asset = assets.find(path)
        if asset is not None:
            await route.fulfill(body=asset.content, content_type=asset.content_type)
        elif path.startswith("/page/"):
            _, _, language, name = path.split("/")
            await route.fulfill(body=rendered[language, name], content_type="text/html")
        elif path.startswith("/console/live"):
            # One long retry: the stream looks alive for as long as the picture takes.
            body = "retry: 60000\n\n"
            await route.fulfill(body=body, content_type="text/event-stream")
        else:
            await route.fulfill(status=404)

    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM_PATH, args=list(CHROMIUM_ARGUMENTS)
        )
        for language, name in rendered:
            if only and name not in only:
                continue
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    context = await browser.new_context(
                        viewport={"width": width, "height": 900}, color_scheme=scheme
                    )
                    await context.route("**/*", answer)
                    page = await context.new_page()
                    await page.goto(f"{ORIGIN}/page/{language}/{name}")
                    await page.screenshot(path=folder / f"{name}-{language}-{width}-{scheme}.png")
                    await context.close()
        await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "shots")
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target, set(sys.argv[2:])))
