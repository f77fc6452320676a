"""`/v1/projects/{id}/members`: who belongs to a project, and with which part."""

from functools import partial
from typing import Any, Final

from litestar import Request, delete, get, put
from litestar.response.base import ASGIResponse

from services.gateway.actions.members import PutMemberBody, remove_member, set_member
from services.gateway.api.lists import page
from services.gateway.api.routing import (
    answer,
    answer_done,
    answer_shown,
    bare,
    call,
    gateway_of,
    operation,
    plain,
)
from services.gateway.auth.principals import Principal
from services.gateway.documents.tenancy import ShownMember
from services.gateway.gateway import Gateway
from services.gateway.http.problems import Refused
from services.gateway.projections.tenants import member_key
from services.gateway.reads.tenancy import MEMBERS, PROJECTS
from shared.kernel.rejections import Rejection


@get(
    "/v1/projects/{key:str}/members",
    opt=operation("projects.members.list", answer=ShownMember, resource=MEMBERS),
)
async def list_members(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """List a project's members; those who do not administer it see their own part."""
    gateway, asked = gateway_of(request), call(request)
    await _check_project(gateway, asked.caller(), key)
    return answer(await page(gateway.reads, MEMBERS, asked, within=(("project_id", (key,)),)))


@get(
    "/v1/projects/{key:str}/members/{user_id:str}",
    opt=operation("projects.members.list", answer=ShownMember),
)
async def get_member(request: Request[Any, Any, Any], key: str, user_id: str) -> ASGIResponse:
    """Return one member of a project."""
    gateway, asked = plain(request)
    await _check_project(gateway, asked.caller(), key)
    found = await gateway.reads.document(MEMBERS, asked.caller(), member_key(key, user_id))
    if isinstance(found, Rejection):
        raise Refused(found)
    return answer(found.encode())


@put(
    "/v1/projects/{key:str}/members/{user_id:str}",
    opt=operation("projects.members", body=PutMemberBody, answer=ShownMember),
)
async def put_member(request: Request[Any, Any, Any], key: str, user_id: str) -> ASGIResponse:
    """Make a user of the domain a member of a project, or give a member another role."""
    gateway, asked = plain(request)
    body = asked.json(PutMemberBody)
    member = member_key(key, user_id)
    write = partial(set_member, gateway, asked, key, user_id, body)
    return await answer_shown(gateway, asked, "member.set", write, MEMBERS, member)


@delete(
    "/v1/projects/{key:str}/members/{user_id:str}",
    opt=operation("projects.members", status=204),
    status_code=200,
)
async def delete_member(request: Request[Any, Any, Any], key: str, user_id: str) -> ASGIResponse:
    """End a membership; nobody leaves a model-store project of the own domain."""
    gateway, asked = bare(request)
    write = partial(remove_member, gateway, asked, key, user_id)
    return await answer_done(gateway, asked, "member.remove", write)


async def _check_project(gateway: Gateway, principal: Principal, key: str) -> None:
    found = await gateway.reads.stored(PROJECTS, principal, key)
    if isinstance(found, Rejection):
        raise Refused(found)


ROUTES: Final = [list_members, get_member, put_member, delete_member]
