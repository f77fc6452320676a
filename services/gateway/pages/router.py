"""The console's routes, with what guards all of them."""

from typing import Any, Final

from litestar import Request, Response, Router, get
from litestar.config.csrf import CSRFConfig
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware
from litestar.types import ControllerRouterHandler

from services.gateway.api.routing import operation
from services.gateway.auth.permissions import PUBLIC
from services.gateway.gateway import Gateway
from services.gateway.http.calls import call_of
from services.gateway.http.problems import Refused
from services.gateway.pages import (
    agents,
    announcement,
    live,
    login,
    new_session,
    queue,
    session_changes,
    sessions,
    troubles,
)
from services.gateway.pages.assets import load_assets
from services.gateway.pages.console import Console
from services.gateway.pages.failures import handlers
from services.gateway.pages.files import static_file
from services.gateway.pages.guards import protect, same_site
from services.gateway.pages.rendering import Renderer
from services.gateway.pages.visits import START
from shared.kernel.rejections import not_found

PAGES: Final[list[ControllerRouterHandler]] = [
    login.login_page,
    login.log_in_by_form,
    login.log_out,
    login.set_preferences,
    sessions.sessions_page,
    new_session.new_session_form,
    new_session.submit_session,
    sessions.session_page,
    sessions.session_state,
    sessions.session_usage,
    sessions.session_checks,
    session_changes.restart_form,
    session_changes.restart,
    session_changes.terminate_form,
    session_changes.terminate,
    queue.queue_page,
    agents.agents_page,
    agents.agents_totals,
    agents.agent_page,
    agents.set_schedulable,
    announcement.announcement,
    troubles.troubles,
    live.live,
]


@get("/{rest:path}")
async def nowhere(request: Request[Any, Any, Any], rest: str) -> Response[None]:
    """Answer an address that no page has: as a page, and to readers who are logged in only."""
    call_of(request.scope).caller()
    raise Refused(not_found("page", rest[:64]))


@get(["/", "/console"], opt=operation(PUBLIC), include_in_schema=False)
async def entrance(request: Request[Any, Any, Any]) -> Response[None]:
    """Lead whoever types only the address to the first page."""
    del request
    return Response(None, status_code=303, headers={"Location": START})


def console_routes(gateway: Gateway) -> list[ControllerRouterHandler]:
    """Return the console's routes; raises RuntimeError when htmx's package is not installed."""
    assets = load_assets()
    console = Console(gateway, Renderer(assets), assets)
    forgery = CSRFConfig(
        secret=gateway.keyring.fingerprint("csrf", "console"),
        cookie_name="qm_csrf",
        cookie_path="/console",
        cookie_secure=gateway.is_https,
        cookie_httponly=True,
        cookie_samesite="strict",
    )
    pages = Router(
        "/console",
        route_handlers=[*PAGES, nowhere],
        dependencies={"console": Provide(lambda: console, sync_to_thread=False)},
        middleware=[DefineMiddleware(CSRFMiddleware, config=forgery)],
        before_request=same_site,
        after_request=protect,
        exception_handlers=handlers(console),
        opt=operation(PUBLIC),
        include_in_schema=False,
    )
    files = Router(
        "/",
        route_handlers=[static_file, entrance],
        dependencies={"assets": Provide(lambda: assets, sync_to_thread=False)},
    )
    return [pages, files]
