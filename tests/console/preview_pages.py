"""Each page with sample data, as (template, what it is given)."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from services.gateway.pages.forms import Form
from services.gateway.pages.languages import translations
from services.gateway.pages.listing import Listing
from services.gateway.pages.lists import Tab
from services.gateway.pages.visits import Frame, NavigationItem
from services.gateway.pages.words import Words
from tests.console.samples import AGENTS, CHECKS, LIMIT, REASON, SESSIONS, START, USAGE

Pages = dict[str, tuple[str, dict[str, Any]]]
ENTRIES = (("sessions", "Sessions"), ("queue", "Pending queue"), ("agents", "Agents"))
NEWS = "On Friday from 18:00 the storage is serviced.\nWhat runs goes on."
AWAY = {"service": "scheduler", "status": "away", "lag": None}


class Samples:
    """The pages of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.text: Callable[[str], str] = translations(language).gettext
        self.shared = {"may": lambda _: True, "shows_owner": True, "is_update": False}

    def all(self) -> Pages:
        return self.outside() | self.sessions() | self.changes() | self.queue() | self.agents()

    def given(self, page: str, **more: Any) -> dict[str, Any]:
        return self.shared | {"frame": self.frame(page)} | more

    def frame(self, page: str, **more: Any) -> Frame:
        return Frame(
            language=self.language,
            theme="",
            csrf_token="t",
            path="/console/sessions",
            email="admin@example.org",
            role="superadmin",
            navigation=[
                NavigationItem(f"/console/{key}", key, self.text(title), key == page)
                for key, title in ENTRIES
            ],
            **more,
        )

    def tabs(self, *titles: str) -> list[Tab]:
        return [Tab("?", self.text(title), not number) for number, title in enumerate(titles)]

    def outside(self) -> Pages:
        said = self.text("E-mail or password is not right, or the account is not active.")
        form = Form(values={"email": "admin@example.org"}, refusal=said)
        error = {
            "title": self.text("Not found"),
            "explanation": "There is no session '42'.",
            "request_id": "0193a1b2-7c4d-7e5f-8a9b-000000000042",
            "way_out": "/console",
        }
        login = self.given("", form=form, back="", asks_otp=False)
        return {
            "login": ("login/page.html", login),
            "login-announced": (
                "login/page.html",
                login | {"form": Form(), "frame": self.frame("", announcement=NEWS)},
            ),
            "error": ("errors/page.html", self.given("", **error)),
        }

    def sessions(self) -> Pages:
        tabs = self.tabs("All", "Pending", "Running", "Finished")
        here = {"sort": "-created_at", "default_sort": "-created_at"}
        full = Listing("/console/sessions", 134, 50, **here)
        none = Listing("/console/sessions", 0, 50, **here)
        log = "step 1 loss=2.31\nstep 2 loss=2.08\nMemoryError\n"
        page = self.given("sessions", tabs=tabs, list=full, sessions=SESSIONS)
        page["frame"] = self.frame("sessions", announcement=NEWS)
        one = self.given("sessions", log=log, may_read_log=True, usage=None, checks=[])
        return {
            "sessions": ("sessions/page.html", page),
            "sessions-empty": ("sessions/page.html", page | {"sessions": [], "list": none}),
            "detail": ("sessions/detail.html", one | {"session": SESSIONS[7]}),
            "detail-running": (
                "sessions/detail.html",
                one | {"session": SESSIONS[3], "usage": USAGE, "checks": CHECKS},
            ),
            "detail-pending": ("sessions/detail.html", one | {"session": SESSIONS[0], "log": ""}),
        }

    def changes(self) -> Pages:
        words = Words(translations(self.language))
        image = "local/host:latest"
        typed = {"name": "warmup", "command": "python3 train.py", "cpu": "two", "mem": "8g"}
        options = {
            "types": [(code, words.label(code)) for code in ("batch", "interactive")],
            "images": [(image, image)],
            "groups": [("default", "default")],
        }
        wrong = Form(values=typed, errors={"cpu": "cpu: 'two' is not an amount."})
        away = Form(values=typed, refusal="The scheduler does not answer.", will_pass=True)
        framed = self.frame("sessions", troubles=[AWAY], password_change_required=True)
        end = self.given("sessions", session=SESSIONS[3], form=Form())
        return {
            "new": ("sessions/new.html", self.given("sessions", form=wrong, **options)),
            "new-away": (
                "sessions/new.html",
                self.given("sessions", form=away, **options) | {"frame": framed},
            ),
            "terminate": ("sessions/terminate.html", end),
            "restart": ("sessions/restart.html", end),
        }

    def queue(self) -> Pages:
        waiting = [(SESSIONS[0], REASON), (SESSIONS[1], LIMIT)]
        entries = [
            {
                "session": session,
                "position": number,
                "reason": reason,
                "retries": 3 * number,
                "requested": session["requested"],
                "owner_name": session["owner"],
                "estimated_start": START if number == 1 else None,
            }
            for number, (session, reason) in enumerate(waiting, 1)
        ]
        groups = [
            SimpleNamespace(name="default", scheduler="fifo"),
            SimpleNamespace(name="gpu", scheduler="drf"),
        ]
        page = self.given("queue", groups=groups, group="default", entries=entries)
        full, none = Listing("/console/queue", 2, 50), Listing("/console/queue", 0, 50)
        return {
            "queue": ("queue/page.html", page | {"list": full}),
            "queue-empty": ("queue/page.html", page | {"list": none, "entries": []}),
        }

    def agents(self) -> Pages:
        slots = [
            {"name": "cpu", "used": "115", "total": "160"},
            {"name": "mem", "used": "301000000000", "total": "687194767360"},
            {"name": "cuda.device", "used": "23", "total": "24"},
        ]
        page = self.given(
            "agents",
            agents=AGENTS,
            totals={"alive": 4, "known": 5, "sessions": 24, "slots": slots},
            tabs=self.tabs("Alive", "Lost and stopped"),
            list=Listing("/console/agents", 5, 50),
        )
        one = self.given("agents", agent=AGENTS[0], sessions=SESSIONS[3:5])
        return {"agents": ("agents/page.html", page), "agent": ("agents/detail.html", one)}
