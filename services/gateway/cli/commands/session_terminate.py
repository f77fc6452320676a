"""`qm session terminate`."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding import find_session
from services.gateway.cli.output import print_json
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("sessions", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Without the grace period.")
@json_option
@click.pass_context
def terminate(ctx: click.Context, *, sessions: tuple[str, ...], force: bool) -> None:
    """End SESSIONS (names or ids): waiting ones are cancelled, running ones stopped."""
    cli = cli_of(ctx)
    ended = []
    with connect(cli) as api:
        for key in sessions:
            session_id = find_session(api, key)["id"]
            api.delete(f"/v1/sessions/{session_id}", forced="true" if force else None)
            ended.append({"session": key, "id": session_id})
            if not cli.as_json:
                click.echo(f"{key}: told to end.")
    if cli.as_json:
        print_json({"items": ended})
