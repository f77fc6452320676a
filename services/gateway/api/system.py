"""`/v1/system`: what the installation is made of, its keys; the live stream."""

from typing import Any, Final

import msgspec
from litestar import Request, get, post
from litestar.response import Stream
from litestar.response.base import ASGIResponse

from services.gateway.api.routing import (
    Parameter,
    answer,
    bare,
    call,
    gateway_of,
    operation,
    plain,
    respond,
)
from services.gateway.auth.permissions import may
from services.gateway.http.idempotency import Answered
from services.gateway.http.parameters import only_parameters
from services.gateway.http.problems import Refused, malformed
from services.gateway.live import TOPICS_MAX
from services.gateway.live_topics import allowed_topics
from services.gateway.system import ComponentDocument
from shared.contracts.users import ResealSecrets
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection, unavailable

_TOPICS: Final = Parameter(
    "topics", {"type": "string"}, "Topics, separated by commas, such as sessions,queue:default."
)


class SystemInfo(msgspec.Struct, kw_only=True):
    """What the installation is made of; `cluster` is for those who may see agents."""

    version: str
    api_version: str
    components: list[ComponentDocument]
    cluster: dict[str, Any] | None


class ResealedSecrets(msgspec.Struct, kw_only=True):
    """How far the secrets are sealed under master key `key_version`, the newest one.

    `resealed` is what this request did. Ask again while there are `remaining` ones; those that
    are `unreadable` do not open under any key and are left as they are.
    """

    key_version: int
    resealed: int
    remaining: int
    unreadable: int


@get("/v1/system/info", opt=operation("system.info", answer=SystemInfo))
async def info(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Tell version, components with their status and lag, and cluster totals."""
    gateway, asked = plain(request)
    with_totals = may(asked.caller(), "agents.list")
    found = await gateway.system.info(with_totals=with_totals)
    return answer(msgspec.json.encode(found))


@post("/v1/system/keys/reseal", opt=operation("keys.reseal", answer=ResealedSecrets))
async def reseal(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Seal every stored secret under the newest master key; none of them changes."""
    gateway, asked = bare(request)

    async def perform(once: CommandKey | None) -> Answered:
        written = await gateway.writes.perform(asked, ResealSecrets(), once)
        done = msgspec.convert(written.result, ResealedSecrets)
        return Answered(200, msgspec.json.encode(done))

    return respond(await gateway.answers.once(asked, perform))


@get("/live", opt=operation("live", answer="text/event-stream", parameters=(_TOPICS,)))
async def live(request: Request[Any, Any, Any]) -> Stream:
    """Tell changes as server-sent events, at most 4 a second for each topic."""
    gateway, asked = gateway_of(request), call(request)
    parameters = only_parameters(asked.query, "topics")
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    topics = frozenset(filter(None, parameters.get("topics", "").split(",")))
    if not 1 <= len(topics) <= TOPICS_MAX:
        raise Refused(malformed("malformed_query", f"Name 1 to {TOPICS_MAX} topics."))
    subscription = await allowed_topics(gateway, asked.caller(), topics)
    if isinstance(subscription, Rejection):
        raise Refused(subscription)
    if subscription is None:
        raise Refused(unavailable("too_many_streams", "Too many streams are open; close one.", 5))
    return Stream(
        gateway.live.stream(subscription),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


ROUTES: Final = [info, reseal, live]
