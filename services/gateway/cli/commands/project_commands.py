"""`qm project list`, `show`, `create`, `update` and `timeline`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import find_project
from services.gateway.cli.commands.tenancy import (
    active_option,
    flag,
    limit_fields,
    limit_options,
    limits,
    only_active_option,
)
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import (
    age,
    more_hint,
    print_fields,
    print_json,
    print_table,
    when,
    yes_no,
)
from services.gateway.cli.parsing import changes
from services.gateway.cli.settings import json_option

TYPES = click.Choice(["general", "model-store"])


@click.command("list")
@click.option("--domain", multiple=True, help="Only of these domains.")
@click.option("--type", multiple=True, type=TYPES)
@click.option("--search", "name", help="Only those whose name contains this.")
@only_active_option
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_projects(
    ctx: click.Context, /, *, is_active: bool | None, limit: int, **given: Any
) -> None:
    """List projects."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed("/v1/projects", limit, is_active=flag(wanted=is_active), **given)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No projects match.")
        return
    print_table(
        ("domain", "name", "type", "description", "active", "policy", "limits", "created", "id"),
        [
            (
                item["domain"],
                item["name"],
                item["type"],
                item["description"],
                yes_no(item["is_active"]),
                item["resource_policy"],
                limits(item["total_resource_slots"]),
                age(item["created_at"]),
                item["id"],
            )
            for item in found["items"]
        ],
        spare="id",
    )
    more_hint(found)


@click.command()
@click.argument("project")
@json_option
@click.pass_context
def show(ctx: click.Context, *, project: str) -> None:
    """Show everything about PROJECT."""
    with connect(cli_of(ctx)) as api:
        found = find_project(api, project)
    _tell(ctx, found)


@click.command()
@click.argument("name")
@click.option("--domain", default="default", show_default=True)
@click.option("--type", type=TYPES, default="general", show_default=True)
@click.option("--policy", "resource_policy", help="The project policy that holds for it.")
@limit_options
@active_option
@json_option
@click.pass_context
def create(ctx: click.Context, /, **given: Any) -> None:
    """Create the project NAME; everybody in the domain joins a new one of type model-store."""
    with connect(cli_of(ctx)) as api:
        made = api.post("/v1/projects", changes(given))
        if "task_id" in made:
            done = api.finish(str(made["task_id"]))
            made = api.get(f"/v1/projects/{done['result']['project_id']}")
    _tell(ctx, made)


@click.command()
@click.argument("project")
@click.option("--policy", "resource_policy", help="The project policy that holds for it.")
@limit_options
@active_option
@json_option
@click.pass_context
def update(ctx: click.Context, /, *, project: str, **given: Any) -> None:
    """Change PROJECT; what is not given stays."""
    body = changes(given)
    with connect(cli_of(ctx)) as api:
        path = f"/v1/projects/{find_project(api, project)['id']}"
        changed = api.settled(api.patch(path, body), path)
    _tell(ctx, changed)


timeline = timeline_of("project", lambda api, key: f"/v1/projects/{find_project(api, key)['id']}")


def _tell(ctx: click.Context, found: dict[str, Any]) -> None:
    if cli_of(ctx).as_json:
        print_json(found)
        return
    print_fields(
        [
            ("id", found["id"]),
            ("name", found["name"]),
            ("domain", found["domain"]),
            ("type", found["type"]),
            ("description", found["description"]),
            ("active", yes_no(found["is_active"])),
            ("policy", found["resource_policy"]),
            *limit_fields(found),
            ("created", when(found["created_at"])),
            ("modified", when(found["modified_at"])),
        ]
    )
