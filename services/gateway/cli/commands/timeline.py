"""What has happened to an object: one command, the same below every noun."""

from collections.abc import Callable
from typing import Any

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.output import more_hint, print_json, print_table, when
from services.gateway.cli.settings import json_option


def timeline_of(noun: str, path: Callable[[Api, str], str]) -> click.Command:
    """Return the `timeline` command of a noun; `path` finds where an object is."""

    @click.command(
        "timeline",
        help=f"Show what has happened to {noun.upper()}, the newest first.",
    )
    @click.argument("key", metavar=noun.upper())
    @click.option("--limit", type=click.IntRange(1, 5000), default=50, show_default=True)
    @json_option
    @click.pass_context
    def timeline(ctx: click.Context, *, key: str, limit: int) -> None:
        cli = cli_of(ctx)
        with connect(cli) as api:
            found = api.listed(f"{path(api, key)}/timeline", limit)
        if cli.as_json:
            print_json(found)
            return
        print_timeline(found["items"], noun)
        more_hint(found)

    return timeline


def print_timeline(items: list[dict[str, Any]], noun: str) -> None:
    """Print what has happened to an object."""
    rows = [_row(item, noun) for item in items]
    print_table(("at", "what", "of", "by", "changes"), rows)


def _row(item: dict[str, Any], noun: str) -> tuple[object, ...]:
    actor = item["actor"]
    return (
        when(item["at"]),
        item["type"],
        "" if item["aggregate"] == noun else f"{item['aggregate']} {item['id']}",
        actor["name"] or f"{actor['kind']} {actor['id']}",
        "; ".join(
            _change(name, change)
            for name, change in item["changes"].items()
            if _text(change["from"]) != _text(change["to"])
        ),
    )


def _change(name: str, change: dict[str, Any]) -> str:
    before, after = (_text(change[side]) for side in ("from", "to"))
    return f"{name}: {after}" if change["from"] is None else f"{name}: {before} → {after}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items()) or "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "—" if value in (None, "") else str(value)
