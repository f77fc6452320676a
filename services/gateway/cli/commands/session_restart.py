"""`qm session restart`."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding import find_session
from services.gateway.cli.output import print_json
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("sessions", nargs=-1, required=True)
@click.option("--grace", "grace_s", type=click.IntRange(0, 3600), help="Seconds to end; 10.")
@json_option
@click.pass_context
def restart(ctx: click.Context, *, sessions: tuple[str, ...], grace_s: int | None) -> None:
    """Restart SESSIONS (names or ids) that run, where they are, with their command anew."""
    cli = cli_of(ctx)
    body = {} if grace_s is None else {"grace_s": grace_s}
    told = []
    with connect(cli) as api:
        for key in sessions:
            session_id = find_session(api, key)["id"]
            api.post(f"/v1/sessions/{session_id}/restart", body)
            told.append({"session": key, "id": session_id})
            if not cli.as_json:
                click.echo(f"{key}: told to restart.")
    if cli.as_json:
        print_json({"items": told})
