"""`qm maintenance`: what an administrator has done once in a while."""

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.following import follow
from services.gateway.cli.output import print_json, print_table
from services.gateway.cli.settings import json_option


@click.group()
def maintenance() -> None:
    """Check and correct what the cluster keeps."""


@maintenance.command("recalculate-usage")
@json_option
@click.pass_context
def recalculate_usage(ctx: click.Context, /) -> None:
    """Compare what is booked with the log and with what the nodes have, and correct it.

    While nothing is wrong it finds nothing. Safe at any time, also while sessions start and end.
    """
    cli = cli_of(ctx)
    with connect(cli) as api:
        begun = api.post("/v1/maintenance/recalculate-usage")
        found = follow(api, begun["task_id"], "")["result"]
    if cli.as_json:
        print_json(found)
        return
    if found["differences"]:
        print_table(
            ("what", "where", "slot", "session", "kernel", "was", "is now"),
            [
                (
                    one["kind"],
                    one["agent_id"] or one["scope"],
                    one["slot"],
                    one["session_id"],
                    one["kernel_id"],
                    one["before"],
                    one["after"],
                )
                for one in found["differences"]
            ],
        )
    count = found["corrected"]
    click.echo(f"{count} corrected." if count else "Nothing differs.", err=True)
