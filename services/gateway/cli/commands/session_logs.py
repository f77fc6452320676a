"""`qm session logs`."""

import sys

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding import find_session


@click.command()
@click.argument("session")
@click.option("-f", "--follow", is_flag=True, help="Go on until the session is over.")
@click.pass_context
def logs(ctx: click.Context, *, session: str, follow: bool) -> None:
    """Print what SESSION (a name or an id) writes, as it wrote it."""
    with connect(cli_of(ctx)) as api:
        print_log(api, find_session(api, session)["id"], follow=follow)


def print_log(api: Api, session_id: str, *, follow: bool) -> None:
    """Copy a session's log to standard output, byte for byte."""
    query = {"follow": "true"} if follow else {}
    with api.stream(f"/v1/sessions/{session_id}/logs", "text/plain", **query) as answer:
        for piece in answer.iter_bytes():
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
