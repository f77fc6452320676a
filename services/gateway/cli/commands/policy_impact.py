"""`qm policy … impact`: what a change would mean; nothing is changed by asking."""

from collections.abc import Callable
from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.policy_limits import body_of, limit_options
from services.gateway.cli.output import print_json, print_table, warn
from services.gateway.cli.parsing import changes
from services.gateway.cli.settings import json_option


def impact_of(kind: str, path: Callable[[str], str]) -> click.Command:
    """Return the command of one kind; `path` says where a policy is."""
    text = "Tell who would be over the limits if the policy NAME were changed so; change nothing."

    @click.command("impact", help=text)
    @click.argument("name")
    @limit_options(kind)
    @json_option
    @click.pass_context
    def impact(ctx: click.Context, /, *, name: str, **given: Any) -> None:
        cli, patch = cli_of(ctx), body_of(changes(given))
        with connect(cli) as api:
            found = api.post(f"{path(name)}/impact", {"patch": patch})
        if cli.as_json:
            print_json(found)
        else:
            _tell(kind, found)

    return impact


def _tell(kind: str, found: dict[str, Any]) -> None:
    over, total = found["exceeding"], found["exceeding_total"]
    if over:
        print_table(
            ("type", "name", "limit of", "used", "limit", "over by", "id"),
            [
                (
                    item["type"],
                    item["name"],
                    ".".join(part for part in (item["field"], item["slot"]) if part),
                    item["used"],
                    item["limit"],
                    item["over_by"],
                    item["id"],
                )
                for item in over
            ],
            spare="id",
        )
    more = f" (the first {len(over)} are shown)" if total > len(over) else ""
    click.echo(f"It binds {found['bound']} {kind}s; over a limit now: {total}{more}.")
    if found["unmeasured"]:
        click.echo(f"Not measured: {', '.join(found['unmeasured'])}.")
    warn(found)
