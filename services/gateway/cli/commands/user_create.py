"""`qm user create`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import project_ids
from services.gateway.cli.output import print_fields, print_json
from services.gateway.cli.prompting import read_password
from services.gateway.cli.settings import json_option

ROLES = ["user", "admin", "superadmin", "monitor"]


@click.command("create")
@click.option("--email", required=True, help="The log-in name.")
@click.option("--username", help="A short unique name; what stands before the @ when absent.")
@click.option("--full-name", default="", help="As people write it.")
@click.option("--description", default="")
@click.option("--domain", default="default", show_default=True)
@click.option("--project", multiple=True, help="By name or id; the domain's default when absent.")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--status", type=click.Choice(["active", "inactive", "before_verification"]))
@click.option("--policy", "resource_policy", help="The user policy that holds for the user.")
@click.option("--sudo", "sudo_session_enabled", is_flag=True, help="May be root in sessions.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option(
    "--require-password-change",
    "password_change_required",
    is_flag=True,
    help="Ask the person to choose another one.",
)
@click.option("--show-secret", is_flag=True, help="Print the first keypair's secret key too.")
@json_option
@click.pass_context
def create(
    ctx: click.Context,
    /,
    *,
    password_stdin: bool,
    show_secret: bool,
    project: tuple[str, ...],
    **given: Any,
) -> None:
    """Create a user together with the first keypair.

    The password is asked for, or read from standard input or QM_PASSWORD.
    """
    cli = cli_of(ctx)
    body = {name: value for name, value in given.items() if value not in (None, "", False)}
    body.setdefault("username", body["email"].partition("@")[0])
    with connect(cli) as api:
        if project:
            body["projects"] = project_ids(api, project, body["domain"])
        body["password"] = read_password("Password", from_stdin=password_stdin, twice=True)
        made = api.post("/v1/users", body)
        secret = _take_secret(made)
        if "task_id" in made:
            api.finish(str(made["task_id"]))
            made = api.get(f"/v1/users/{made['id']}")
    if show_secret and secret:
        made["secret_key"] = secret
    if cli.as_json:
        print_json(made)
        return
    print_fields(
        [
            ("id", made.get("id")),
            ("email", made.get("email")),
            ("username", made.get("username")),
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
