"""Logging in and out, and the reader's language and theme: plain forms, errors in place."""

from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request, Response, get, post

from services.gateway.actions.logins import LogInBody, end_login, log_in
from services.gateway.api.auth import cookie
from services.gateway.http.problems import Refused
from services.gateway.pages.console import Console
from services.gateway.pages.forms import Form
from services.gateway.pages.languages import LANGUAGES
from services.gateway.pages.visits import (
    LANGUAGE_COOKIE,
    START,
    THEME_COOKIE,
    THEMES,
    Visit,
    own_address,
)

KEPT_S: Final = 365 * 24 * 3600
OTP_CODES: Final = frozenset({"otp_required", "otp_invalid"})


@get("/login")
async def login_page(request: Request[Any, Any, Any], console: Console) -> Response[Any]:
    """Show the form, or go on for whoever is logged in already."""
    visit = Visit(request, console)
    asked = visit.query()
    back = own_address(asked.get("back", START))
    if visit.call.principal is not None:
        return visit.go(back)
    return await _form(visit, Form(), back, done=asked.get("done", ""))


@post("/login", status_code=200)
async def log_in_by_form(request: Request[Any, Any, Any], console: Console) -> Response[Any]:
    """Log in; what is wrong is said above the form, which keeps the e-mail."""
    visit = Visit(request, console)
    fields = visit.form()
    back = own_address(fields.get("back", START))
    body = LogInBody(
        email=fields.get("email", "").strip(),
        password=fields.get("password", ""),
        otp=fields.get("otp", "").strip() or None,
    )
    form = Form(values={"email": body.email})
    try:
        done = await log_in(visit.gateway, visit.call, body)
    except Refused as refused:
        code = refused.rejection.code
        shown = form.refused(
            refused.rejection,
            fields={"email": "email", "otp": "otp"},
            say=visit.say,
            request_id=visit.call.request_id,
        )
        return await _form(visit, shown, back, asks_otp=code in OTP_CODES, status=refused.status)
    left_s = int((done.expires_at - visit.gateway.clock.now()).total_seconds())
    answer = visit.go(back)
    answer.headers["Set-Cookie"] = cookie(
        done.token, max_age_s=max(0, left_s), is_https=visit.gateway.is_https
    )
    return answer


@post("/logout", status_code=200)
async def log_out(request: Request[Any, Any, Any], console: Console) -> Response[Any]:
    """End this log-in; its cookie is removed even when it was over already."""
    visit = Visit(request, console)
    principal = visit.call.principal
    if principal is not None and principal.login_id is not None:
        await end_login(visit.gateway, visit.call, principal.login_id)
    answer = visit.go("/console/login?done=logged_out")
    answer.headers["Set-Cookie"] = cookie("", max_age_s=0, is_https=visit.gateway.is_https)
    return answer


@post("/preferences", status_code=200)
async def set_preferences(request: Request[Any, Any, Any], console: Console) -> Response[Any]:
    """Remember a language or a theme in this browser, and come back."""
    visit = Visit(request, console)
    fields = visit.form()
    answer = visit.go(own_address(fields.get("back", START)))
    if fields.get("language") in LANGUAGES:
        _remember(answer, visit, LANGUAGE_COOKIE, fields["language"])
    if fields.get("theme") in {*THEMES, "auto"}:
        _remember(answer, visit, THEME_COOKIE, fields["theme"])
    return answer


def _remember(answer: Response[Any], visit: Visit, name: str, value: str) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=KEPT_S,
        path="/console",
        httponly=True,
        samesite="lax",
        secure=visit.gateway.is_https,
    )


async def _form(
    visit: Visit,
    form: Form,
    back: str,
    *,
    asks_otp: bool = False,
    done: str = "",
    status: int = 200,
) -> Response[str]:
    frame = visit.bare_frame(done)
    frame.announcement = await visit.announcement()
    frame.path = f"/console/login?{urlencode({'back': back})}"
    context = {"frame": frame, "form": form, "back": back, "asks_otp": asks_otp}
    return visit.html("login/page.html", context, status=status)
