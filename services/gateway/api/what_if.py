"""`POST /v1/resource-groups/{name}/what-if`: a recorded period under other options."""

from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.what_if import WhatIfBody, ask_at_once, begin, question
from services.gateway.api.routing import operation, plain, respond
from services.gateway.documents.what_if import WhatIfDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.problems import Refused
from services.gateway.reads.sessions import RESOURCE_GROUPS
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection


@post(
    "/v1/resource-groups/{key:str}/what-if",
    opt=operation("resource-groups.what-if", body=WhatIfBody, answer=WhatIfDocument),
    status_code=200,
)
async def what_if(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Tell how long sessions would have waited under other options; what takes long is a task."""
    gateway, asked = plain(request)
    body = asked.json(WhatIfBody)
    group = await gateway.reads.decoded(RESOURCE_GROUPS, asked.caller(), key)
    if isinstance(group, Rejection):
        raise Refused(group)
    query = question(key, body, gateway.clock.now())

    async def perform(once: CommandKey | None) -> Answered:
        found = await ask_at_once(gateway, query)
        if found is not None:
            return Answered(200, msgspec.json.encode(found))
        task_id = await begin(gateway, asked.caller().user_id, query, once)
        return Answered(202, msgspec.json.encode({"task_id": task_id}))

    return respond(await gateway.answers.once(asked, perform))


ROUTES: Final = [what_if]
