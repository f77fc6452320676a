"""`qm project members`: who belongs to a project."""

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding_people import find_project, find_user_id
from services.gateway.cli.output import more_hint, print_json, print_table, when
from services.gateway.cli.settings import json_option


@click.group()
def members() -> None:
    """List, add and remove the members of a project."""


@members.command("list")
@click.argument("project")
@click.option("--role", multiple=True, type=click.Choice(["member", "admin"]))
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_members(ctx: click.Context, /, *, project: str, role: tuple[str, ...], limit: int) -> None:
    """List the members of PROJECT."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed(_path(api, project), limit, role=role)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No members.")
        return
    print_table(
        ("email", "username", "name", "role", "since", "id"),
        [
            (
                item["email"] or "(erased)",
                item["username"],
                item["full_name"],
                item["role"],
                when(item["created_at"]),
                item["user_id"],
            )
            for item in found["items"]
        ],
    )
    more_hint(found)


@members.command()
@click.argument("project")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@click.option("--role", type=click.Choice(["member", "admin"]), default="member", show_default=True)
@json_option
@click.pass_context
def add(ctx: click.Context, /, *, project: str, users: tuple[str, ...], role: str) -> None:
    """Make USERs members of PROJECT, or give members another role."""
    cli = cli_of(ctx)
    added = []
    with connect(cli) as api:
        path = _path(api, project)
        for key in users:
            member = f"{path}/{find_user_id(api, key)}"
            found = api.settled(api.put(member, {"role": role}), member)
            added.append(found)
            if not cli.as_json:
                click.echo(f"{key}: {found['role']} of {project}")
    if cli.as_json:
        print_json({"items": added})


@members.command()
@click.argument("project")
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@json_option
@click.pass_context
def remove(ctx: click.Context, /, *, project: str, users: tuple[str, ...]) -> None:
    """End the membership of USERs in PROJECT."""
    cli = cli_of(ctx)
    removed = []
    with connect(cli) as api:
        path = _path(api, project)
        for key in users:
            user_id = find_user_id(api, key)
            answered = api.delete(f"{path}/{user_id}")
            if "task_id" in answered:
                api.finish(str(answered["task_id"]))
            removed.append({"user_id": user_id})
            if not cli.as_json:
                click.echo(f"{key}: no longer in {project}")
    if cli.as_json:
        print_json({"items": removed})


def _path(api: Api, project: str) -> str:
    return f"/v1/projects/{find_project(api, project)['id']}/members"
