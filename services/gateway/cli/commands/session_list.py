"""`qm session list`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.session_narrowing import narrowed, narrowing, spans
from services.gateway.cli.output import age, print_json, print_table, slots
from services.gateway.cli.settings import json_option

LIVE = ("PENDING", "SCHEDULED", "PREPARING", "RUNNING", "RESTARTING", "TERMINATING")


@click.command("list")
@click.option("--status", multiple=True, help="Only these statuses (PENDING, RUNNING …).")
@click.option("--all", "everything", is_flag=True, help="Finished sessions too.")
@narrowing
@spans
@click.option("--sort", default="-created_at", show_default=True, help="By which fields.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@click.pass_context
def list_sessions(
    ctx: click.Context,
    /,
    *,
    status: tuple[str, ...],
    everything: bool,
    sort: str,
    limit: int,
    **given: Any,
) -> None:
    """List sessions, the newest first; without --all only those that are not over.

    A repeated option means any of its values.
    """
    cli = cli_of(ctx)
    wanted = [one.upper() for one in status] or (None if everything else list(LIVE))
    with connect(cli) as api:
        found = api.get(
            "/v1/sessions",
            status=wanted,
            limit=limit,
            sort=sort,
            **narrowed(api, given),
        )
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        hint = "" if everything or status else " (add --all for finished ones)"
        click.echo(f"No sessions{hint}.")
        return
    print_table(
        ("name", "status", "type", "image", "resources", "why / result", "created", "id"),
        [_row(item) for item in found["items"]],
    )
    if found.get("total", 0) > len(found["items"]):
        click.echo(f"… {len(found['items'])} of {found['total']}; --limit shows more.", err=True)


def _row(item: dict[str, Any]) -> tuple[object, ...]:
    position = item.get("position")
    status = f"{item['status']} #{position}" if position else item["status"]
    return (
        item.get("name"),
        status,
        item.get("type"),
        item.get("image"),
        slots(item.get("resources")),
        explain(item),
        age(item.get("created_at")),
        item.get("id"),
    )


def explain(item: dict[str, Any]) -> str:
    """Return in a few words why a session waits, or how it ended."""
    reason = item.get("reason")
    if item.get("status") == "PENDING" and isinstance(reason, dict):
        return str(reason.get("message") or reason.get("code") or "")
    words = [str(item["status_info"])] if item.get("status_info") else []
    if item.get("exit_code") is not None:
        words.append(f"exit {item['exit_code']}")
    return ", ".join(words)
