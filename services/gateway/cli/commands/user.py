"""`qm user`: the people who may use the cluster."""

import sys
from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.output import print_fields, print_json, print_table, when
from services.gateway.cli.settings import json_option


@click.group()
def user() -> None:
    """See and create the people who may use the cluster."""


@user.command("list")
@click.option("--email", help="Only those whose e-mail contains this.")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@json_option
@click.pass_context
def list_users(ctx: click.Context, *, email: str | None, limit: int) -> None:
    """List users."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.get("/v1/users", email=email, limit=limit)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No users match.")
        return
    print_table(
        ("email", "username", "name", "role", "status", "domain", "created", "id"),
        [
            (
                item.get("email"),
                item.get("username"),
                item.get("full_name"),
                item.get("role"),
                item.get("status"),
                item.get("domain"),
                when(item.get("created_at")),
                item.get("id"),
            )
            for item in found["items"]
        ],
    )


@user.command("create")
@click.option("--email", required=True, help="The log-in name.")
@click.option("--username", help="A short unique name.")
@click.option("--full-name", default="", help="As people write it.")
@click.option("--description", default="")
@click.option("--domain", default="default", show_default=True)
@click.option("--role", type=click.Choice(["user", "admin", "superadmin", "monitor"]))
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--require-password-change", is_flag=True, help="Ask the person to choose another one."
)
@click.option("--show-secret", is_flag=True, help="Print the first keypair's secret key too.")
@json_option
@click.pass_context
def create(ctx: click.Context, /, *, password_stdin: bool, show_secret: bool, **given: Any) -> None:
    """Create a user together with the first keypair."""
    cli = cli_of(ctx)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    body = {name: value for name, value in given.items() if value not in (None, "")}
    body["password_change_required"] = body.pop("require_password_change")
    with connect(cli) as api:
        made = api.post("/v1/users", body | {"password": password})
    secret = _take_secret(made)
    if show_secret and secret:
        made["secret_key"] = secret
    if cli.as_json:
        print_json(made)
        return
    print_fields(
        [
            ("id", made.get("id")),
            ("email", made.get("email")),
            ("access key", made.get("main_access_key")),
            *([("secret key", secret)] if show_secret else []),
        ]
    )


def _take_secret(made: dict[str, Any]) -> str | None:
    """Take the secret key out of the answer, wherever it stands: it is not printed unasked."""
    secret = made.pop("secret_key", None)
    keypair = made.get("keypair")
    if isinstance(keypair, dict):
        secret = keypair.pop("secret_key", None) or secret
    return None if secret is None else str(secret)
