"""Whose something is, for people: e-mail addresses of those whom the reader may see."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from services.gateway.auth.principals import Principal
from services.gateway.http.parameters import LIMIT_MAX, ListQuery, parse_list
from services.gateway.http.problems import Refused
from services.gateway.reads.models import ReadModels
from services.gateway.reads.resources import Resource
from services.gateway.reads.users import USERS
from shared.kernel.rejections import Rejection


async def emails(
    reads: ReadModels, principal: Principal, user_ids: Iterable[str]
) -> dict[str, str]:
    """Return e-mail by user id; whom the reader may not see, or who was erased, is absent."""
    wanted = sorted(set(user_ids))[:LIMIT_MAX]
    if not wanted:
        return {}
    found = await list_page(reads, USERS, principal, {"id": wanted, "limit": [str(LIMIT_MAX)]})
    return {person["id"]: person["email"] for person in found[0] if person["email"]}


async def list_page(
    reads: ReadModels, resource: Resource, principal: Principal, query: dict[str, list[str]]
) -> tuple[list[dict[str, Any]], int]:
    """Return one page of a list as documents, and how many there are; raises Refused."""
    parsed = parse_list(resource.spec, urlencode(query, doseq=True))
    page = await reads.page(resource, principal, _or_refused(parsed))
    if isinstance(page, Rejection):
        raise Refused(page)
    return page.documents(), page.total


def _or_refused(parsed: ListQuery | Rejection) -> ListQuery:
    if isinstance(parsed, Rejection):
        raise Refused(parsed)
    return parsed
