"""`/v1/maintenance`: what an administrator has done once in a while."""

from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.recalculation import begin
from services.gateway.api.routing import bare, operation, respond
from services.gateway.http.idempotency import Answered
from shared.eventlog.records import CommandKey


class TaskBegun(msgspec.Struct, kw_only=True):
    """Where to read how far it is and what came of it: `/v1/tasks/{task_id}`."""

    task_id: str


@post(
    "/v1/maintenance/recalculate-usage",
    opt=operation("maintenance.recalculate-usage", answer=TaskBegun, status=202),
    status_code=202,
)
async def recalculate_usage(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Compare what is booked with the log and with what the nodes have, and correct it.

    The task's result has `differences`, which is empty while nothing is wrong, and `corrected`.
    """
    gateway, asked = bare(request)

    async def perform(once: CommandKey | None) -> Answered:
        task_id = await begin(gateway, asked.caller().user_id, asked.meta(), once)
        return Answered(202, msgspec.json.encode(TaskBegun(task_id=task_id)))

    return respond(await gateway.answers.once(asked, perform))


ROUTES: Final = [recalculate_usage]
