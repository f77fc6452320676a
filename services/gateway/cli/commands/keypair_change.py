"""`qm keypair update`, `activate`, `deactivate`, `make-main` and `delete`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import keypair_path
from services.gateway.cli.commands.keypair_list import print_keypair
from services.gateway.cli.output import print_json
from services.gateway.cli.parsing import changes, number_of_requests, rate_limit
from services.gateway.cli.settings import json_option

keypairs_argument = click.argument("keypairs", nargs=-1, required=True, metavar="KEYPAIR...")


@click.command()
@click.argument("keypair")
@click.option(
    "--rate-limit",
    callback=rate_limit,
    metavar="NUMBER",
    help="Requests in 15 minutes, or 'unlimited'.",
)
@click.option("--policy", "resource_policy", help="The keypair policy that holds for it.")
@json_option
@click.pass_context
def update(ctx: click.Context, /, *, keypair: str, **given: Any) -> None:
    """Change KEYPAIR; what is not given stays."""
    cli = cli_of(ctx)
    body = changes(given)
    if "rate_limit" in body:
        body["rate_limit"] = number_of_requests(body["rate_limit"])
    path = keypair_path(keypair)
    with connect(cli) as api:
        changed = api.settled(api.patch(path, body), path)
    if cli.as_json:
        print_json(changed)
    else:
        print_keypair(changed)


@click.command()
@keypairs_argument
@json_option
@click.pass_context
def activate(ctx: click.Context, *, keypairs: tuple[str, ...]) -> None:
    """Let KEYPAIRs sign requests again."""
    _act(ctx, keypairs, "activate")


@click.command()
@keypairs_argument
@json_option
@click.pass_context
def deactivate(ctx: click.Context, *, keypairs: tuple[str, ...]) -> None:
    """Refuse what KEYPAIRs sign, from the next request on."""
    _act(ctx, keypairs, "deactivate")


@click.command("make-main")
@click.argument("keypair")
@json_option
@click.pass_context
def make_main(ctx: click.Context, *, keypair: str) -> None:
    """Make KEYPAIR its user's main one, used where none is named."""
    _act(ctx, (keypair,), "make-main")


@click.command()
@keypairs_argument
@json_option
@click.pass_context
def delete(ctx: click.Context, *, keypairs: tuple[str, ...]) -> None:
    """Delete KEYPAIRs for ever; they must be inactive and not the main one."""
    cli = cli_of(ctx)
    deleted = []
    with connect(cli) as api:
        for access_key in keypairs:
            answered = api.delete(keypair_path(access_key))
            if "task_id" in answered:
                api.finish(str(answered["task_id"]))
            deleted.append({"access_key": access_key})
            if not cli.as_json:
                click.echo(f"{access_key}: deleted.")
    if cli.as_json:
        print_json({"items": deleted})


def _act(ctx: click.Context, keypairs: tuple[str, ...], verb: str) -> None:
    cli = cli_of(ctx)
    changed = []
    with connect(cli) as api:
        for access_key in keypairs:
            path = keypair_path(access_key)
            found = api.settled(api.post(f"{path}/{verb}"), path)
            changed.append(found)
            if not cli.as_json:
                main = ", main" if found["is_main"] else ""
                click.echo(f"{access_key}: {found['status']}{main}")
    if cli.as_json:
        print_json({"items": changed})
