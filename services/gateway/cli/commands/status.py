"""`qm status`: the services as they tell of themselves, and the processes of this machine."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.installation import data_option, supervisor_state
from services.gateway.cli.output import print_fields, print_json, print_table, slots, when
from services.gateway.cli.settings import Cli, CliError, json_option


@click.command()
@data_option
@json_option
@click.pass_context
def status(ctx: click.Context, /, *, data: str) -> None:
    """Show how the installation is: its services, the cluster, this machine's processes."""
    cli = cli_of(ctx)
    local = supervisor_state(data)
    try:
        info = _ask(cli)
    except CliError as error:
        if not local:
            raise
        # What the supervisor knows is worth showing exactly when the gateway is away.
        info = {}
        click.echo(f"qm: {error.message}", err=True)
    if cli.as_json:
        print_json({"system": info or None, "supervisor": local or None})
    else:
        _print_system(info)
        _print_processes(local)
    if not info:
        ctx.exit(1)


def _ask(cli: Cli) -> dict[str, Any]:
    with connect(cli) as api:
        return api.get("/v1/system/info")


def _print_system(info: dict[str, Any]) -> None:
    if not info:
        return
    cluster = info.get("cluster") or {}
    agents = cluster.get("agents") or {}
    sessions = cluster.get("sessions") or {}
    print_fields(
        [
            ("version", f"{info.get('version')} (API {info.get('api_version')})"),
            ("agents", f"{agents['alive']} of {agents['total']} alive" if agents else ""),
            ("sessions", ", ".join(f"{count} {name}" for name, count in sessions.items())),
            ("free to use", slots(cluster.get("available_slots"))),
            ("handed out", slots(cluster.get("occupied_slots"))),
        ]
    )
    click.echo()
    print_table(
        ("service", "status", "version", "events behind"),
        [
            (part.get("name"), part.get("status"), part.get("version"), part.get("lag"))
            for part in info.get("components") or []
        ],
    )


def _print_processes(local: dict[str, Any]) -> None:
    if not local:
        return
    click.echo(f"\nThis machine: {local.get('state')}, up since {when(local.get('started_at'))}")
    print_table(
        ("process", "state", "pid", "restarts", "last exit"),
        [
            (name, part["state"], part["pid"], part["restarts"], part["last_exit"])
            for name, part in (local.get("processes") or {}).items()
        ],
    )
