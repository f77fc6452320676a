"""`/v1/presets`: reading one, creating, changing and deleting; by id or by name."""

from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Request, delete, get, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.presets import (
    READ_ONLY,
    SLOTS,
    CreatePresetBody,
    PatchPresetBody,
    create_preset,
    delete_preset,
    patch_preset,
)
from services.gateway.actions.warnings import LimitWarning, preset_warnings
from services.gateway.api.asking import AT, asked_moment
from services.gateway.api.routing import (
    Parameter,
    answer,
    answer_done,
    answer_shown,
    call,
    gateway_of,
    no_body,
    operation,
    plain,
    respond,
    shown,
)
from services.gateway.documents.policies import PresetDocument
from services.gateway.gateway import Gateway
from services.gateway.http.calls import Call
from services.gateway.http.idempotency import Answered
from services.gateway.http.parameters import only_parameters, query_pairs
from services.gateway.http.patches import read_patch
from services.gateway.http.problems import Refused, malformed
from services.gateway.reads.capacity import capacity
from services.gateway.reads.policies import PRESETS
from services.gateway.reads.presets import preset_id
from services.gateway.writes import Written
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection
from shared.kernel.slots import slots_of

_GROUP: Final = Parameter(
    "resource_group",
    {"type": "string"},
    "Of which group, for a name that several have; empty for the preset of every group.",
)


class WrittenPreset(PresetDocument, kw_only=True):
    """A preset, and why no agent could ever hold it, if none could."""

    warnings: list[LimitWarning]


async def _warnings(gateway: Gateway, text: str) -> dict[str, Any]:
    slots = slots_of(msgspec.json.decode(text)[SLOTS])
    return {"warnings": list(preset_warnings(SLOTS, slots, await capacity(gateway.reads)))}


async def _meant(gateway: Gateway, asked: Call, key: str) -> str:
    """Return the id of the preset that a write is about; raises Refused (400)."""
    parameters = only_parameters(asked.query, _GROUP.name)
    if isinstance(parameters, Rejection):
        raise Refused(parameters)
    return await preset_id(gateway.reads, key, parameters.get(_GROUP.name))


def _take_group(query: str) -> tuple[str | None, str]:
    """Return the group that a query names, and what is left of it; raises Refused (400)."""
    if _GROUP.name not in query:
        return None, query
    pairs = query_pairs(query)
    if isinstance(pairs, Rejection):
        raise Refused(pairs)
    groups = [value for name, value in pairs if name == _GROUP.name]
    rest = [pair for pair in pairs if pair[0] != _GROUP.name]
    if len(groups) > 1:
        raise Refused(malformed("malformed_query", f"{_GROUP.name} is given more than once."))
    return (groups[0] if groups else None), urlencode(rest)


async def _delete(gateway: Gateway, asked: Call, key: str, once: CommandKey | None) -> Written:
    return await delete_preset(gateway, asked, await _meant(gateway, asked, key), once)


@get(
    "/v1/presets/{key:str}",
    opt=operation("presets.read", answer=PresetDocument, parameters=(_GROUP, AT)),
)
async def read(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Return one of the presets, by id or name."""
    gateway, asked = gateway_of(request), call(request)
    group, rest = _take_group(asked.query)
    at = asked_moment(PRESETS, rest, gateway.clock.now())
    found_id = await preset_id(gateway.reads, key, group)
    found = await gateway.reads.document(PRESETS, asked.caller(), found_id, at)
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(found.encode())


@post(
    "/v1/presets",
    opt=operation("presets.create", body=CreatePresetBody, answer=WrittenPreset, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a preset, for one resource group or for every one."""
    gateway, asked = plain(request)
    body = asked.json(CreatePresetBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await create_preset(gateway, asked, body, once)
        return await shown(
            gateway,
            asked,
            "preset.create",
            written,
            PRESETS,
            written.result["preset_id"],
            status=201,
            more=partial(_warnings, gateway),
        )

    return respond(await gateway.answers.once(asked, perform))


@patch(
    "/v1/presets/{key:str}",
    opt=operation(
        "presets.update", body=PatchPresetBody, answer=WrittenPreset, parameters=(_GROUP,)
    ),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change what a preset asks for; sessions that were made from it are as they were."""
    gateway, asked = gateway_of(request), call(request)
    body = read_patch(asked, PatchPresetBody, READ_ONLY)
    found_id = await _meant(gateway, asked, key)
    return await answer_shown(
        gateway,
        asked,
        "preset.update",
        partial(patch_preset, gateway, asked, found_id, body),
        PRESETS,
        found_id,
        more=partial(_warnings, gateway),
    )


@delete(
    "/v1/presets/{key:str}",
    opt=operation("presets.delete", parameters=(_GROUP,), status=204),
    status_code=200,
)
async def remove(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Delete a preset; sessions that were made from it are as they were."""
    gateway, asked = gateway_of(request), call(request)
    no_body(asked)
    write = partial(_delete, gateway, asked, key)
    return await answer_done(gateway, asked, "preset.delete", write)


ROUTES: Final = [read, create, change, remove]
