"""The gateway with one bare Litestar endpoint beside it, in the same process and on the same port.

`python tests/benchmarks/bare_gateway.py` is started like the service itself; `/bare` answers a
constant from an application of its own, so that rates can be compared on the same server.
"""

import sys

from litestar import Litestar, get

from services.gateway.app import compose
from services.gateway.settings import GatewaySettings
from shared.runtime.service import ServiceRuntime, run_service


@get("/bare")
async def bare() -> dict[str, str]:
    """Answer a constant, as the simplest endpoint there is."""
    return {"hello": "world"}


async def compose_both(runtime: ServiceRuntime) -> None:
    """Compose the gateway, then send `/bare` past it."""
    await compose(runtime)
    plain = Litestar([bare], openapi_config=None, logging_config=None)
    gateway = runtime.http.app

    async def route(scope, receive, send):
        chosen = plain if scope.get("path") == "/bare" else gateway
        await chosen(scope, receive, send)

    runtime.serve(route)


if __name__ == "__main__":
    sys.exit(run_service("gateway", compose_both, GatewaySettings))
