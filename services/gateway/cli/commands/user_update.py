"""`qm user update`."""

from typing import Any, Final

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import ME, find_user, project_ids
from services.gateway.cli.commands.user_create import ROLES
from services.gateway.cli.commands.user_show import print_user
from services.gateway.cli.output import print_json
from services.gateway.cli.parsing import changes
from services.gateway.cli.prompting import read_password
from services.gateway.cli.settings import json_option

OWN: Final = frozenset({"username", "full_name", "description"})


@click.command()
@click.argument("user")
@click.option("--username")
@click.option("--full-name", help="As people write it.")
@click.option("--description")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--project", multiple=True, help="Name or id; these replace the present ones.")
@click.option("--policy", "resource_policy", help="The user policy that holds for the user.")
@click.option("--sudo/--no-sudo", "sudo_session_enabled", default=None, help="Root in sessions.")
@click.option(
    "--require-password-change/--no-require-password-change",
    "password_change_required",
    default=None,
    help="Ask the person to choose another password.",
)
@click.option("--set-password", is_flag=True, help="Ask for a new password (or QM_PASSWORD).")
@click.option("--password-stdin", is_flag=True, help="Read a new password from standard input.")
@click.option("--remove-totp", is_flag=True, help="Switch the second factor off.")
@json_option
@click.pass_context
def update(
    ctx: click.Context,
    /,
    *,
    user: str,
    project: tuple[str, ...],
    set_password: bool,
    password_stdin: bool,
    remove_totp: bool,
    **given: Any,
) -> None:
    """Change USER, all that is given or nothing; what is not given stays.

    Everybody may change their own names and description: `qm user update me --full-name …`.
    """
    cli = cli_of(ctx)
    wants_password = set_password or password_stdin
    given |= {
        "projects": project,
        "totp_enabled": False if remove_totp else None,
        "password": "" if wants_password else None,
    }
    body = changes(given)
    with connect(cli) as api:
        found = find_user(api, user)
        if project:
            body["projects"] = project_ids(api, project, str(found["domain"]))
        if wants_password:
            who = found["email"] or found["id"]
            asked = f"New password of {who}"
            body["password"] = read_password(asked, from_stdin=password_stdin, twice=True)
        own = user == ME and body.keys() <= OWN
        path = "/v1/users/me" if own else f"/v1/users/{found['id']}"
        changed = api.settled(api.patch(path, body), path)
    if cli.as_json:
        print_json(changed)
    else:
        print_user(changed)
