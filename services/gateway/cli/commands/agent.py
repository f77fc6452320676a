"""`qm agent`: the machines that run sessions."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.output import age, print_json, print_table, size
from services.gateway.cli.settings import json_option


@click.group()
def agent() -> None:
    """See the machines that run sessions."""


@agent.command("list")
@click.option("--status", multiple=True, help="Only these statuses (ALIVE, LOST …).")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@json_option
@click.pass_context
def list_agents(ctx: click.Context, *, status: tuple[str, ...], limit: int) -> None:
    """List agents with what they have and what is handed out."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.get("/v1/agents", status=[name.upper() for name in status] or None, limit=limit)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No agents. Start one with 'qm up', or a node daemon on another machine.")
        return
    print_table(
        ("id", "status", "schedulable", "group", "cpu", "memory", "other", "load", "since"),
        [_row(item) for item in found["items"]],
    )


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    has: dict[str, str] = item.get("available_slots") or {}
    used: dict[str, str] = item.get("occupied_slots") or {}
    other = [
        f"{name} {used.get(name, '0')}/{amount}"
        for name, amount in has.items()
        if name not in {"cpu", "mem"}
    ]
    live: dict[str, Any] = item.get("live") or {}
    load = live.get("cpu_util")
    return (
        item["id"],
        item.get("status"),
        "yes" if item.get("schedulable") else "no",
        item.get("resource_group"),
        f"{used.get('cpu', '0')} / {has.get('cpu', '0')}",
        f"{size(int(used.get('mem', 0)))} / {size(int(has.get('mem', 0)))}",
        ", ".join(other),
        "" if load is None else f"{float(load):.0f} %",
        age(item.get("first_contact")),
    )
