"""`/v1/projects`: creating and changing projects."""

from functools import partial
from typing import Any, Final

from litestar import Request, patch, post
from litestar.response.base import ASGIResponse

from services.gateway.actions.projects import (
    READ_ONLY,
    CreateProjectBody,
    PatchProjectBody,
    create_project,
    patch_project,
)
from services.gateway.api.routing import answer_shown, operation, plain, respond, shown
from services.gateway.documents.tenancy import ProjectDocument
from services.gateway.http.idempotency import Answered
from services.gateway.http.patches import read_patch
from services.gateway.reads.tenancy import PROJECTS
from shared.eventlog.records import CommandKey


@post(
    "/v1/projects",
    opt=operation("projects.create", body=CreateProjectBody, answer=ProjectDocument, status=201),
)
async def create(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Create a project; everybody in the domain joins a new one of type `model-store`."""
    gateway, asked = plain(request)
    body = asked.json(CreateProjectBody)

    async def perform(once: CommandKey | None) -> Answered:
        written = await create_project(gateway, asked, body, once)
        project_id = written.result["project_id"]
        return await shown(
            gateway, asked, "project.create", written, PROJECTS, project_id, status=201
        )

    return respond(await gateway.answers.once(asked, perform))


@patch(
    "/v1/projects/{key:str}",
    opt=operation("projects.update", body=PatchProjectBody, answer=ProjectDocument),
)
async def change(request: Request[Any, Any, Any], key: str) -> ASGIResponse:
    """Change a project; in an inactive one nothing new begins."""
    gateway, asked = plain(request)
    body = read_patch(asked, PatchProjectBody, READ_ONLY)
    write = partial(patch_project, gateway, asked, key, body)
    return await answer_shown(gateway, asked, "project.update", write, PROJECTS, key)


ROUTES: Final = [create, change]
