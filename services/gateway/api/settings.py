"""`/v1/settings`: reading, changing and resetting the settings of the cluster."""

from typing import Any, Final

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.settings import (
    PatchSettingsBody,
    flat,
    patch_settings,
    reset_setting,
    reset_settings,
)
from services.gateway.api.routing import (
    Write,
    answer,
    answer_done,
    bare,
    call,
    gateway_of,
    operation,
    pending,
    plain,
    respond,
)
from services.gateway.documents.events import EventDocument
from services.gateway.documents.settings import SettingsDocument
from services.gateway.gateway import Gateway
from services.gateway.history.rows import Subject
from services.gateway.history.wanted import TIMELINE, timeline_query
from services.gateway.http.calls import Call
from services.gateway.http.idempotency import Answered
from services.gateway.http.problems import Refused
from services.gateway.reads.settings import settings_document
from services.gateway.writes import Written
from shared.contracts.policies import SETTINGS_ID
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection

_SUBJECT: Final = Subject("policies", "settings", SETTINGS_ID)


async def _answer_settings(gateway: Gateway, asked: Call, kind: str, write: Write) -> ASGIResponse:
    """Do a write, once for each idempotency key, and answer with all settings."""

    async def perform(once: CommandKey | None) -> Answered:
        written = await write(once)
        if not written.is_visible:
            return pending(gateway, asked, kind, written, b"{}")
        return Answered(200, msgspec.json.encode(await settings_document(gateway.reads)))

    return respond(await gateway.answers.once(asked, perform))


@get("/v1/settings", opt=operation("settings.read", answer=SettingsDocument))
async def read(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Return all settings, and under `schema` what each may be."""
    gateway, _ = plain(request)
    return answer(msgspec.json.encode(await settings_document(gateway.reads)))


@patch(
    "/v1/settings",
    opt=operation("settings.update", body=PatchSettingsBody, answer=SettingsDocument),
)
async def change(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Change settings, all that are given or none; each says in its schema when it acts."""
    gateway, asked = plain(request)
    values = flat(asked.json(dict[str, Any]))

    async def write(once: CommandKey | None) -> Written:
        return await patch_settings(gateway, asked, values, once)

    return await _answer_settings(gateway, asked, "settings.update", write)


@post(
    "/v1/settings/reset",
    opt=operation("settings.update", answer=SettingsDocument),
    status_code=200,
)
async def reset_all(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Give all settings their defaults again."""
    gateway, asked = bare(request)

    async def write(once: CommandKey | None) -> Written:
        return await reset_settings(gateway, asked, once)

    return await _answer_settings(gateway, asked, "settings.reset", write)


@delete("/v1/settings/{key:str}", opt=operation("settings.update", status=204), status_code=200)
async def reset(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Give one setting, named by its dotted key, its default again."""
    gateway, asked = bare(request)

    async def write(once: CommandKey | None) -> Written:
        return await reset_setting(gateway, asked, key, once)

    return await answer_done(gateway, asked, "settings.reset", write)


@get(
    "/v1/settings/timeline",
    opt=operation("settings.read", answer=EventDocument, listed=TIMELINE),
)
async def timeline(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Tell what has happened to the settings, the newest first."""
    asked = call(request)
    query = timeline_query(asked.query)
    if isinstance(query, Rejection):
        raise Refused(query)
    found = await gateway_of(request).history.timeline(asked.caller(), _SUBJECT, query)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(found.encode())


ROUTES: Final = [read, change, reset_all, reset, timeline]
