"""`qm user erase`."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import find_user
from services.gateway.cli.output import print_json
from services.gateway.cli.prompting import confirm_by_typing
from services.gateway.cli.settings import CliError, json_option


@click.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@click.pass_context
def erase(ctx: click.Context, *, user: str, yes: bool) -> None:
    """Erase what is known of USER as a person, for ever; the user must be deactivated.

    What happened stays on record, without saying to whom. There is no way back.
    """
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = find_user(api, user)
        path = f"/v1/users/{found['id']}"
        if found["status"] == "active":
            raise CliError(f"{user} is active; deactivate first: qm user deactivate {found['id']}")
        if not yes:
            who = found["email"] or found["id"]
            confirm_by_typing(str(found["id"]), f"This erases {who} for ever.")
        erased = api.settled(api.post(f"{path}/erase"), path)
    if cli.as_json:
        print_json(erased)
    else:
        click.echo(f"{erased['id']}: erased.")
