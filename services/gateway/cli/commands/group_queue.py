"""`qm group queue`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.output import age, between, more_hint, print_json, print_table, slots
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("group")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@json_option
@click.pass_context
def queue(ctx: click.Context, *, group: str, limit: int, offset: int) -> None:
    """List who waits in GROUP, in the order in which they will be placed, and what for."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.get("/v1/sessions/pending", resource_group=group, limit=limit, offset=offset)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo(f"Nothing waits in {group}.")
        return
    print_table(
        ("#", "name", "owner", "resources", "waits for", "starts", "tries", "waiting", "id"),
        [_row(item) for item in found["items"]],
    )
    more_hint(found)


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    session, owner = item["session"], item["owner"]
    return (
        item["position"],
        session["name"],
        owner["email"] or owner["username"] or owner["id"],
        slots(item["requested"]),
        item["reason"]["message"],
        between(item["estimated_start"]),
        item["retries"],
        age(session["created_at"]),
        session["id"],
    )
