"""`qm user limits`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import ME, find_user_id
from services.gateway.cli.output import print_json, print_table, size
from services.gateway.cli.parsing import UNLIMITED
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("user", default=ME)
@click.option("--keypair", "access_key", help="For which keypair; the main one.")
@click.option("--project", help="For which project, by name or id; the first.")
@click.option("--all", "shows_all", is_flag=True, help="Show what is unlimited, too.")
@json_option
@click.pass_context
def limits(
    ctx: click.Context,
    *,
    user: str,
    access_key: str | None,
    project: str | None,
    shows_all: bool,
) -> None:
    """Show what USER may use, what of it is in use, and which limit is met first (*)."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        who = user if user == ME else find_user_id(api, user)
        found = api.get(f"/v1/users/{who}/limits", access_key=access_key, project=project)
    if cli.as_json:
        print_json(found)
        return
    binding = {
        (item["scope"], item["id"], item["field"], item["slot"]) for item in found["binding"]
    }
    rows = [
        _row(scope, item, is_met_first=_key(scope, item) in binding)
        for scope in found["scopes"]
        for item in scope["limits"]
        if shows_all or item["limit"] is not None
    ]
    if rows:
        print_table(("of", "name", "policy", "what", "limit", "used", "left", ""), rows)
    else:
        click.echo("Nothing is limited.")
    for scope in found["scopes"]:
        if not scope["visible"]:
            click.echo(f"{scope['scope']} {scope['name']}: not shown to you.", err=True)


def _key(scope: dict[str, Any], item: dict[str, Any]) -> tuple[object, ...]:
    return scope["scope"], scope["id"], item["field"], item["slot"]


def _row(scope: dict[str, Any], item: dict[str, Any], *, is_met_first: bool) -> tuple[object, ...]:
    what = ".".join(part for part in (item["field"], item["slot"]) if part)
    is_size = item["slot"] == "mem" or item["field"].endswith("_size")

    def shown(value: Any, nothing: str) -> object:
        if value is None:
            return nothing
        return size(int(value)) if is_size else value

    unlimited = UNLIMITED if item["limit"] is None else ""
    return (
        scope["scope"],
        scope["name"],
        scope["policy"],
        what,
        shown(item["limit"], UNLIMITED),
        shown(item["used"], ""),
        shown(item["remaining"], unlimited),
        "*" if is_met_first else " ",
    )
