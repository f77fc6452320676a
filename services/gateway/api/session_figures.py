"""`/v1/sessions/{id}/stats`: what a session uses now."""

from typing import Any, Final

import msgspec
from litestar import Request, get
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import answer, operation, plain
from services.gateway.documents.stats import SessionStats
from services.gateway.http.problems import Refused
from services.gateway.reads.session_stats import ACTION, stats_of
from shared.kernel.rejections import Rejection


@get("/v1/sessions/{key:str}/stats", opt=operation(ACTION, answer=SessionStats))
async def stats(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return what a session uses beside what it was given; where there is nothing, `why`.

    Figures are new every few seconds: the topic `stats:<session>` of `/live` tells when.
    """
    gateway, asked = plain(request)
    found = await stats_of(gateway, asked.caller(), key)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(msgspec.json.encode(found))


ROUTES: Final = [stats]
