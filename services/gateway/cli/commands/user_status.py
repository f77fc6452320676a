"""`qm user activate` and `qm user deactivate`."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import find_user_id
from services.gateway.cli.output import print_json
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@json_option
@click.pass_context
def activate(ctx: click.Context, *, users: tuple[str, ...]) -> None:
    """Let USERs in; everything works again as before."""
    _set(ctx, users, "activate")


@click.command()
@click.argument("users", nargs=-1, required=True, metavar="USER...")
@json_option
@click.pass_context
def deactivate(ctx: click.Context, *, users: tuple[str, ...]) -> None:
    """Keep USERs out: their log-ins, keys and tokens are refused at once."""
    _set(ctx, users, "deactivate")


def _set(ctx: click.Context, keys: tuple[str, ...], verb: str) -> None:
    cli = cli_of(ctx)
    changed = []
    with connect(cli) as api:
        for key in keys:
            path = f"/v1/users/{find_user_id(api, key)}"
            user = api.settled(api.post(f"{path}/{verb}"), path)
            changed.append(user)
            if not cli.as_json:
                click.echo(f"{user['email'] or user['id']}: {user['status']}")
    if cli.as_json:
        print_json({"items": changed})
