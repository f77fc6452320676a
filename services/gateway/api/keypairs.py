"""`/v1/keypairs`: issuing, changing, revealing and deleting the credentials of programs."""

from functools import partial
from typing import Any, Final

import msgspec
from litestar import Request, delete, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.keypairs import (
    READ_ONLY,
    CreateKeypairBody,
    PatchKeypairBody,
    delete_keypair,
    issue_keypair,
    make_main,
    patch_keypair,
    reveal_keypair,
    set_status,
)
from services.gateway.api.routing import (
    answer,
    answer_done,
    answer_shown,
    bare,
    operation,
    pending,
    plain,
)
from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.patches import read_patch
from services.gateway.http.problems import Refused
from services.gateway.reads.users import KEYPAIRS
from services.gateway.writes import merged
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import Rejection


class CreatedKeypair(KeypairDocument, kw_only=True):
    """A new keypair with its secret."""

    secret_key: str


class RevealedKeypair(msgspec.Struct, kw_only=True):
    """A keypair's secret."""

    access_key: str
    secret_key: str


@post(
    "/v1/keypairs",
    opt=operation("keypairs.create", body=CreateKeypairBody, answer=CreatedKeypair, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Issue one more keypair for a user; this answer holds its secret."""
    gateway, asked = plain(request)
    body = asked.json(CreateKeypairBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await issue_keypair(gateway, asked, body, once)
        secret_key = written.result["secret_key"]
        access_key = written.result["access_key"]
        if not written.is_visible:
            hidden = written._replace(result={"access_key": access_key})
            more = msgspec.json.encode({"access_key": access_key, "secret_key": secret_key})
            return pending(gateway, asked, "keypair.create", hidden, more)
        found = await gateway.reads.document(KEYPAIRS, asked.caller(), access_key)
        if isinstance(found, Rejection):
            raise Refused(found)
        return Answered(201, merged(found, secret_key=secret_key))

    return _secret(await gateway.answers.once(asked, perform))


@patch(
    "/v1/keypairs/{key:str}",
    opt=operation("keypairs.update", body=PatchKeypairBody, answer=KeypairDocument),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change a keypair's policy, rate limit or status."""
    gateway, asked = plain(request)
    body = read_patch(asked, PatchKeypairBody, READ_ONLY)
    write = partial(patch_keypair, gateway, asked, key, body)
    return await answer_shown(gateway, asked, "keypair.update", write, KEYPAIRS, key)


@post(
    "/v1/keypairs/{key:str}/activate",
    opt=operation("keypairs.activate", answer=KeypairDocument),
    status_code=200,
)
async def activate(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Let a keypair sign requests again."""
    gateway, asked = bare(request)
    write = partial(set_status, gateway, asked, key, "active")
    return await answer_shown(gateway, asked, "keypair.activate", write, KEYPAIRS, key)


@post(
    "/v1/keypairs/{key:str}/deactivate",
    opt=operation("keypairs.deactivate", answer=KeypairDocument),
    status_code=200,
)
async def deactivate(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Refuse what a keypair signs, from the next request on; sessions it started go on."""
    gateway, asked = bare(request)
    write = partial(set_status, gateway, asked, key, "inactive")
    return await answer_shown(gateway, asked, "keypair.deactivate", write, KEYPAIRS, key)


@post(
    "/v1/keypairs/{key:str}/make-main",
    opt=operation("keypairs.make-main", answer=KeypairDocument),
    status_code=200,
)
async def make_it_main(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Make an active keypair its user's main one, used where none is named."""
    gateway, asked = bare(request)
    write = partial(make_main, gateway, asked, key)
    return await answer_shown(gateway, asked, "keypair.make-main", write, KEYPAIRS, key)


@post(
    "/v1/keypairs/{key:str}/reveal",
    opt=operation("keypairs.reveal", answer=RevealedKeypair),
    status_code=200,
)
async def reveal(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Show a keypair's secret; that it was shown, and to whom, is on record."""
    gateway, asked = bare(request)

    async def perform(once: CommandKey | None) -> Answered:
        written = await reveal_keypair(gateway, asked, key, once)
        return Answered(200, msgspec.json.encode(written.result))

    return _secret(await gateway.answers.once(asked, perform))


@delete("/v1/keypairs/{key:str}", opt=operation("keypairs.delete", status=204), status_code=200)
async def remove(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Delete an inactive keypair for ever; the main one of a user cannot be deleted."""
    gateway, asked = bare(request)
    write = partial(delete_keypair, gateway, asked, key)
    return await answer_done(gateway, asked, "keypair.delete", write)


def _secret(answered: Answered) -> ASGIResponse:
    """Answer with what nobody on the way may keep."""
    return answer(answered.body, answered.status, {"cache-control": "no-store"})


ROUTES: Final = [create, change, activate, deactivate, make_it_main, reveal, remove]
