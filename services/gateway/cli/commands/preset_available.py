"""`qm preset available`."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.tenancy import limits
from services.gateway.cli.output import print_json, print_table, slots, yes_no
from services.gateway.cli.settings import json_option


@click.command()
@click.option("--project", help="The project, by name or id, that a session would count for.")
@click.option("--group", "resource_group", help="The resource group that it would run in.")
@click.option("--all", "shows_all", is_flag=True, help="Show those that could not start, too.")
@json_option
@click.pass_context
def available(
    ctx: click.Context, *, project: str | None, resource_group: str | None, shows_all: bool
) -> None:
    """Show of which presets a session of yours could start now."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.get("/v1/presets/available", project=project, resource_group=resource_group)
    if cli.as_json:
        print_json(found)
        return
    shown = [item for item in found["items"] if shows_all or item["allocatable"]]
    if shown:
        print_table(
            ("name", "asks for", "can start", "why not"),
            [
                (
                    item["name"],
                    slots(item["resource_slots"]),
                    yes_no(item["allocatable"]),
                    (item["reason"] or {}).get("message"),
                )
                for item in shown
            ],
        )
    click.echo(f"Limits leave: {limits(found['remaining'])}.")
    hidden = len(found["items"]) - len(shown)
    if hidden:
        click.echo(f"{hidden} presets could not start now; --all shows why.", err=True)
