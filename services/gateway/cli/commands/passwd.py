"""`qm passwd`: one's own password."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.output import print_json
from services.gateway.cli.prompting import NEW_PASSWORD, read_password
from services.gateway.cli.settings import json_option


@click.command()
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the present password and the new one from standard input, a line each.",
)
@json_option
@click.pass_context
def passwd(ctx: click.Context, *, password_stdin: bool) -> None:
    """Change your own password; all your other log-ins end.

    Both are asked for unseen, or read from standard input, or from QM_PASSWORD and
    QM_NEW_PASSWORD.
    """
    cli = cli_of(ctx)
    with connect(cli) as api:
        old = read_password("Present password", from_stdin=password_stdin)
        new = read_password(
            "New password", from_stdin=password_stdin, variable=NEW_PASSWORD, twice=True
        )
        answered = api.post("/v1/users/me/password", {"old": old, "new": new})
        user = api.settled(answered, "/v1/users/me")
    if cli.as_json:
        print_json(user)
    else:
        click.echo("Your password is changed; all your other log-ins have ended.")
