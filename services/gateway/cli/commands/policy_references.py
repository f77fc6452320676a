"""`qm policy … references`: what a policy is for, and whether it can go."""

from collections.abc import Callable
from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.output import more_hint, print_json, print_table
from services.gateway.cli.settings import json_option


def references_of(path: Callable[[str], str]) -> click.Command:
    """Return the command of one kind; `path` says where a policy is."""

    @click.command("references", help="Show what uses the policy NAME, and whether it can go.")
    @click.argument("name")
    @click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
    @json_option
    @click.pass_context
    def references(ctx: click.Context, *, name: str, limit: int) -> None:
        cli = cli_of(ctx)
        with connect(cli) as api:
            found = api.listed(f"{path(name)}/references", limit)
        if cli.as_json:
            print_json(found)
            return
        if found["items"]:
            rows = [_row(item) for item in found["items"]]
            print_table(("type", "name", "status", "owner", "id"), rows, spare="id")
            more_hint(found)
        reason = found.get("reason")
        click.echo("It can be deleted." if found["deletable"] else _why(reason))

    return references


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    owner = item.get("owner") or {}
    return item["type"], item["name"], item["status"], owner.get("email"), item["id"]


def _why(reason: object) -> str:
    return str(reason["message"]) if isinstance(reason, dict) else "It can't be deleted now."
