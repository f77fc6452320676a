"""`/v1/users/bulk`: many users at once, from JSON or CSV."""

from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.bulk import Bulk, BulkResult, create_rows, summary
from services.gateway.actions.bulk_rows import (
    BulkUsersBody,
    RawBulk,
    check_count,
    read_csv,
    repeated,
)
from services.gateway.actions.bulk_task import begin
from services.gateway.api.routing import (
    Parameter,
    call,
    gateway_of,
    no_parameters,
    operation,
    pending,
    respond,
)
from services.gateway.gateway import Gateway
from services.gateway.http.calls import Call
from services.gateway.http.idempotency import Answered
from services.gateway.http.parameters import only_parameters, parse_flag
from services.gateway.http.problems import Refused
from services.gateway.writes import Written
from shared.eventlog.records import CommandKey
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection

INLINE_MAX: Final = 100
_CSV: Final = "text/csv"
_GENERATE: Final = Parameter(
    "generate_passwords", {"type": "boolean", "default": False}, "For CSV: as in the JSON body."
)


@post(
    "/v1/users/bulk",
    opt=operation(
        "users.bulk",
        body=BulkUsersBody,
        media=("application/json", _CSV),
        answer=BulkResult,
        parameters=(_GENERATE,),
    ),
    status_code=200,
)
async def create_many(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create up to 5000 users; more than 100 by a task. The answer has a result for each row."""
    gateway, asked = gateway_of(request), call(request)
    sent = await gateway.offloop.run(lambda: _read(asked))
    check_count(sent.users)

    async def perform(once: CommandKey | None) -> Answered:
        key, digest = once or (f"bulk:{new_id()}", "")
        bulk = Bulk(
            rows=sent.users,
            generate_passwords=sent.generate_passwords,
            meta=asked.meta(),
            key=key,
            digest=digest,
        )
        if len(sent.users) > INLINE_MAX:
            task_id = await begin(gateway, asked.caller().user_id, bulk, once)
            return Answered(202, msgspec.json.encode({"task_id": task_id}))
        return await _at_once(gateway, asked, bulk, once)

    return respond(await gateway.answers.once(asked, perform))


async def _at_once(gateway: Gateway, asked: Call, bulk: Bulk, once: CommandKey | None) -> Answered:
    done = await create_rows(gateway, bulk, 0, len(bulk.rows), repeated(bulk.rows))
    if done.away is not None and once is not None:
        raise Refused(done.away)  # repeated under its key, it finds again what was done
    body = msgspec.json.encode(summary(done.results))
    about = tuple(row.user_id for row in done.results if isinstance(row.user_id, str))
    if not done.position or await gateway.writes.visible("users", done.position):
        return Answered(200, body, about)
    written = Written("users", done.position, {}, is_visible=False)
    return pending(gateway, asked, "users.bulk", written, body)


def _read(asked: Call) -> RawBulk:
    kind = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _CSV:
        no_parameters(asked)
        return asked.json(RawBulk)
    parameters = only_parameters(asked.query, _GENERATE.name)
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    generate = parse_flag(parameters, _GENERATE.name)
    if isinstance(generate, Rejection):
        raise Refused(generate)
    return RawBulk(users=read_csv(asked.body), generate_passwords=generate)


ROUTES: Final = [create_many]
