"""Puts the routes together into one application behind the edge."""

from typing import Any, Final, cast

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from services.gateway.api import (
    agents,
    auth,
    available_presets,
    bulk,
    documentation,
    domains,
    exports,
    impact,
    keypairs,
    limits,
    lists,
    maintenance,
    members,
    policies,
    preferences,
    presets,
    profile,
    projects,
    resource_groups,
    session_detail,
    session_figures,
    sessions,
    settings,
    system,
    tasks,
    users,
    what_if,
)
from services.gateway.api import history as timelines
from services.gateway.api.routing import authorize
from services.gateway.auth.authenticator import Authenticator
from services.gateway.gateway import Gateway
from services.gateway.http import docs_page, openapi
from services.gateway.http.edge import Edge
from services.gateway.http.failures import (
    answer_bug,
    answer_http,
    answer_outage,
    answer_refused,
)
from services.gateway.http.outages import OUTAGES
from services.gateway.http.problems import Refused
from shared.runtime.http import App

ROUTES: Final[list[HTTPRouteHandler]] = [
    *lists.ROUTES,
    *timelines.ROUTES,
    *auth.ROUTES,
    *domains.ROUTES,
    *projects.ROUTES,
    *members.ROUTES,
    *users.ROUTES,
    *bulk.ROUTES,
    *keypairs.ROUTES,
    *limits.ROUTES,
    *available_presets.ROUTES,
    *impact.ROUTES,
    *policies.ROUTES,
    *presets.ROUTES,
    *settings.ROUTES,
    *limits.ROUTES,
    *profile.ROUTES,
    *preferences.ROUTES,
    *resource_groups.ROUTES,
    *what_if.ROUTES,
    *session_detail.ROUTES,
    *sessions.ROUTES,
    *session_figures.ROUTES,
    *agents.ROUTES,
    *system.ROUTES,
    *maintenance.ROUTES,
    *tasks.ROUTES,
    *exports.ROUTES,
    *documentation.ROUTES,
]


def make_application(gateway: Gateway, pages: list[Any]) -> Litestar:
    """Return the application: the API under our guard, and the console's pages."""
    described = openapi.document(ROUTES)
    application = Litestar(
        route_handlers=[Router("/", route_handlers=ROUTES, guards=[authorize]), *pages],
        exception_handlers={
            Refused: answer_refused,
            HTTPException: answer_http,
            **dict.fromkeys(OUTAGES, answer_outage),
            Exception: answer_bug,
        },
        openapi_config=None,
        logging_config=None,
    )
    # set afterwards: what is given to the constructor is copied, connections and all
    application.state.gateway = gateway
    application.state[documentation.OPENAPI_KEY] = documentation.encode(described)
    application.state[documentation.PAGE_KEY] = docs_page.render(described).encode()
    return application


def make_edge(gateway: Gateway, authenticator: Authenticator, pages: list[Any]) -> Edge:
    """Return what the gateway serves."""
    return Edge(
        cast("App", make_application(gateway, pages)),
        authenticator=authenticator,
        directory=gateway.directory,
        limits=gateway.limits,
        fast=lists.Lists(gateway.reads),
        clock=gateway.clock,
    )
