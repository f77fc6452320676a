"""`qm keypair create` and `qm keypair reveal`: the two that hand a secret out."""

import json
import os
from pathlib import Path
from typing import Any

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding_people import find_user_id, keypair_path
from services.gateway.cli.output import print_fields, print_json
from services.gateway.cli.parsing import number_of_requests, rate_limit
from services.gateway.cli.settings import CliError, json_option

save_option = click.option(
    "--save",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the keypair to this new file, for its owner only, instead of printing it.",
)


@click.command()
@click.option("--user", default="me", help="Whose (e-mail, name or id); your own when absent.")
@click.option(
    "--rate-limit",
    callback=rate_limit,
    metavar="NUMBER",
    help="Requests in 15 minutes, or 'unlimited'.",
)
@click.option("--policy", "resource_policy", help="The keypair policy that holds for it.")
@save_option
@json_option
@click.pass_context
def create(
    ctx: click.Context,
    /,
    *,
    user: str,
    rate_limit: int | str | None,
    resource_policy: str | None,
    save: str | None,
) -> None:
    """Issue one more keypair; what is not given is as in the user's main one.

    This prints the secret key, or keeps it with --save.
    """
    cli = cli_of(ctx)
    body: dict[str, Any] = {}
    if rate_limit is not None:
        body["rate_limit"] = number_of_requests(rate_limit)
    if resource_policy:
        body["resource_policy"] = resource_policy
    _check_new(save)
    with connect(cli) as api:
        made = api.post("/v1/keypairs", body | {"user_id": find_user_id(api, user)})
        if "task_id" in made:
            api.finish(str(made["task_id"]))
        _hand_out(api, made, save, as_json=cli.as_json)
    if not save:
        text = "Keep the secret key now: it is not shown again, unless you have it revealed."
        click.echo(text, err=True)


@click.command()
@click.argument("keypair")
@save_option
@json_option
@click.pass_context
def reveal(ctx: click.Context, *, keypair: str, save: str | None) -> None:
    """Print the secret key of KEYPAIR; that it was shown, and to whom, is on record."""
    cli = cli_of(ctx)
    _check_new(save)
    with connect(cli) as api:
        found = api.post(f"{keypair_path(keypair)}/reveal")
        _hand_out(api, found, save, as_json=cli.as_json)


def _check_new(save: str | None) -> None:
    """Refuse a file that is there before anything is issued or revealed."""
    if save and Path(save).exists():
        raise CliError(f"{save} exists; --save writes a new file")


def _hand_out(api: Api, keypair: dict[str, Any], save: str | None, *, as_json: bool) -> None:
    if save:
        kept = {name: keypair[name] for name in ("access_key", "secret_key")}
        _write(Path(save), {"endpoint": api.endpoint} | kept)
        keypair = {name: value for name, value in keypair.items() if name != "secret_key"}
    if as_json:
        print_json(keypair | ({"saved_in": save} if save else {}))
        return
    secret = ("saved in", save) if save else ("secret key", keypair["secret_key"])
    print_fields([("access key", keypair["access_key"]), secret])


def _write(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2) + "\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        name = content["access_key"]
        raise CliError(f"{name} is there, but {path} can't be written: {error}") from error
