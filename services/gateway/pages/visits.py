"""One request of a reader: who, in which language, and how it is answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from litestar import MediaType, Request, Response
from litestar.utils.scope.state import ScopeState

from services.gateway.auth.permissions import may
from services.gateway.auth.principals import Principal
from services.gateway.http.calls import Call, call_of
from services.gateway.http.parameters import query_pairs
from services.gateway.http.problems import Refused, malformed
from services.gateway.pages.console import Console
from services.gateway.pages.languages import LANGUAGES, N_, choose_language, translations
from services.gateway.pages.refusals import speaker
from services.gateway.reads.settings import setting_values
from services.gateway.reads.users import USERS
from shared.kernel.rejections import Rejection

LANGUAGE_COOKIE: Final = "qm_language"
THEME_COOKIE: Final = "qm_theme"
THEMES: Final = frozenset({"light", "dark"})
START: Final = "/console/sessions"
FORM_FIELDS_MAX: Final = 50
_OWN_ADDRESS: Final = re.compile(r"/console(/[A-Za-z0-9._~%:@!$&'()*+,;=/?-]*)?")
_PAGES: Final = (
    ("sessions", "sessions.list", N_("Sessions")),
    ("queue", "queue.list", N_("Pending queue")),
    ("agents", "agents.list", N_("Agents")),
)
_DONE: Final = {
    "submitted": N_("The session was submitted."),
    "restarting": N_("The session was told to restart."),
    "terminating": N_("The session was told to end."),
    "changed": N_("The change is in effect."),
    "logged_out": N_("You are logged out."),
}


class NavigationItem(NamedTuple):
    """One entry of the main navigation."""

    href: str
    icon: str
    title: str
    is_current: bool


@dataclass
class Frame:
    """What surrounds every page."""

    language: str
    theme: str
    csrf_token: str
    path: str
    done: str = ""
    email: str = ""
    role: str = ""
    announcement: str = ""
    password_change_required: bool = False
    navigation: list[NavigationItem] = field(default_factory=list)
    stale: list[dict[str, str]] = field(default_factory=list)
    troubles: list[dict[str, Any]] = field(default_factory=list)

    @property
    def other_languages(self) -> list[tuple[str, str]]:
        """Return the languages that the page could speak instead."""
        return [(code, name) for code, name in LANGUAGES.items() if code != self.language]


class Visit:
    """A request on its way through a page handler."""

    def __init__(self, request: Request[Any, Any, Any], console: Console) -> None:
        self.call: Call = call_of(request.scope)
        self.console = console
        self.gateway = console.gateway
        accepted = self.call.headers.get("accept-language", "")
        self.language = choose_language(request.cookies.get(LANGUAGE_COOKIE), accepted)
        theme = request.cookies.get(THEME_COOKIE, "")
        self.theme = theme if theme in THEMES else ""
        self.csrf_token = str(ScopeState.from_scope(request.scope).csrf_token or "")
        self.is_fragment = self.call.headers.get("hx-request") == "true"
        self.catalogue = translations(self.language)
        self.text = self.catalogue.gettext
        self.say = speaker(self.language)

    def caller(self) -> Principal:
        """Return who reads; raises Refused (401) when nobody is logged in."""
        return self.call.caller()

    def query(self) -> dict[str, str]:
        """Return the query's parameters, the last of each name; raises Refused (400)."""
        pairs = query_pairs(self.call.query)
        if isinstance(pairs, Rejection):
            raise Refused(pairs)
        return dict(pairs)

    def form(self) -> dict[str, str]:
        """Return a posted form's fields; raises Refused (400) for what is no form."""
        try:
            pairs = parse_qsl(
                self.call.body.decode(),
                keep_blank_values=True,
                strict_parsing=bool(self.call.body),
                max_num_fields=FORM_FIELDS_MAX,
                errors="strict",
            )
        except ValueError as error:
            raise Refused(malformed("malformed_form", "The form cannot be read.")) from error
        if any("\0" in value for _, value in pairs):
            raise Refused(malformed("malformed_form", "The form holds a NUL character."))
        return dict(pairs)

    def bare_frame(self, done: str = "") -> Frame:
        """Return what surrounds a page that nobody is logged in to."""
        return Frame(
            language=self.language,
            theme=self.theme,
            csrf_token=self.csrf_token,
            path=START,
            done=self.text(_DONE[done]) if done in _DONE else "",
        )

    async def frame(self, page: str) -> Frame:
        """Return what surrounds a page: who is logged in, where they can go."""
        principal = self.caller()
        frame = self.bare_frame(self.query().get("done", ""))
        frame.path = _here(self.call)
        frame.role = principal.role
        frame.navigation = [
            NavigationItem(f"/console/{key}", key, self.text(title), key == page)
            for key, action, title in _PAGES
            if may(principal, action)
        ]
        person = await self.gateway.reads.decoded(USERS, principal, principal.user_id)
        if not isinstance(person, Rejection):
            frame.email = person["email"] or ""
            frame.password_change_required = person["password_change_required"]
        frame.announcement = await self.announcement()
        await self.add_troubles(frame)
        return frame

    async def announcement(self) -> str:
        """Return what the administrators want everybody to know; empty is nothing."""
        return str((await setting_values(self.gateway.reads))["announcement"])

    async def add_troubles(self, frame: Frame) -> None:
        """Add what the reader should know about services that are late or away."""
        frame.stale = [
            {"service": service, "as_of": as_of} for service, as_of in self.gateway.system.stale()
        ]
        frame.troubles = [
            {"service": part.name, "status": part.status, "lag": part.lag}
            for part in await self.gateway.system.components()
            if part.status != "ok"
        ]

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """Render a template for this reader; it may ask `may(action)`."""
        principal = self.call.principal
        known = {
            "frame": self.bare_frame(),
            "may": lambda action: principal is not None and may(principal, action),
        }
        return self.console.renderer.render(self.language, template, {**known, **context})

    def html(
        self, template: str, context: Mapping[str, Any], *, status: int = 200
    ) -> Response[str]:
        """Answer with a rendered template."""
        page = self.render(template, context)
        return Response(page, status_code=status, media_type=MediaType.HTML)

    async def page(
        self, name: str, template: str, context: Mapping[str, Any], *, status: int = 200
    ) -> Response[str]:
        """Answer with a whole page, its frame included; `name` is its entry in the navigation."""
        framed = {**context, "frame": await self.frame(name)}
        return self.html(template, framed, status=status)

    def go(self, address: str, *, to_fragment: bool = True) -> Response[None]:
        """Send the reader to another page, a script's request too."""
        if self.is_fragment and to_fragment:
            return Response(None, status_code=204, headers={"HX-Redirect": address})
        return Response(None, status_code=303, headers={"Location": address})


def own_address(address: str) -> str:
    """Return an address only when it is one of the console's own, else the console's start."""
    return address if _OWN_ADDRESS.fullmatch(address) else START


def _here(call: Call) -> str:
    return own_address(f"{call.path}?{call.query}" if call.query else call.path)
