"""`qm keypair list`, `show` and `timeline`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import (
    find_keypair,
    find_user_id,
    keypair_path,
)
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import (
    age,
    more_hint,
    print_fields,
    print_json,
    print_table,
    when,
    yes_no,
)
from services.gateway.cli.parsing import UNLIMITED, moment
from services.gateway.cli.settings import json_option


@click.command("list")
@click.option("--user", help="Only those of this user (e-mail, name, id or 'me').")
@click.option("--status", multiple=True, type=click.Choice(["active", "inactive"]))
@click.option("--domain", multiple=True, help="Only these domains.")
@click.option("--policy", "resource_policy", multiple=True, help="Only with these policies.")
@click.option("--main", "is_main", is_flag=True, help="Only the main ones.")
@click.option("--at", callback=moment, metavar="TIME", help="As it was at this time.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_keypairs(
    ctx: click.Context, /, *, user: str | None, is_main: bool, limit: int, **given: Any
) -> None:
    """List keypairs, without their secrets."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed(
            "/v1/keypairs",
            limit,
            user_id=find_user_id(api, user) if user else None,
            is_main="true" if is_main else None,
            **given,
        )
        emails = {} if cli.as_json else _emails(api, found["items"])
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No keypairs match.")
        return
    print_table(
        ("access key", "user", "status", "main", "policy", "per 15 min", "used", "created"),
        [
            (
                item["access_key"],
                emails.get(item["user_id"]) or item["user_id"],
                item["status"],
                yes_no(item["is_main"]),
                item["resource_policy"],
                _limit(item),
                age(item.get("last_used_at")),
                age(item["created_at"]),
            )
            for item in found["items"]
        ],
    )
    more_hint(found)


def _emails(api: Any, keypairs: list[dict[str, Any]]) -> dict[str, str | None]:
    """Return who the users of keypairs are, as far as the caller may see them."""
    ids = sorted({str(item["user_id"]) for item in keypairs})
    found: dict[str, str | None] = {}
    for first in range(0, len(ids), IDS_A_REQUEST):
        some = ids[first : first + IDS_A_REQUEST]
        users = api.get("/v1/users", id=some, limit=len(some))["items"]
        found |= {user["id"]: user["email"] for user in users}
    return found


IDS_A_REQUEST = 90  # a query has at most a hundred fields


@click.command()
@click.argument("keypair")
@click.option("--at", callback=moment, metavar="TIME", help="As it was at this time.")
@json_option
@click.pass_context
def show(ctx: click.Context, *, keypair: str, at: str | None) -> None:
    """Show everything about KEYPAIR but its secret."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = find_keypair(api, keypair, at)
    if cli.as_json:
        print_json(found)
    else:
        print_keypair(found)


def print_keypair(found: dict[str, Any]) -> None:
    """Print a keypair."""
    print_fields(
        [
            ("access key", found["access_key"]),
            ("user", found["user_id"]),
            ("domain", found["domain"]),
            ("status", found["status"]),
            ("main", yes_no(found["is_main"])),
            ("policy", found["resource_policy"]),
            ("requests in 15 min", _limit(found)),
            ("of these used", found.get("requests_in_window")),
            ("last used", when(found.get("last_used_at"))),
            ("created", when(found["created_at"])),
            ("modified", when(found["modified_at"])),
        ]
    )


def _limit(found: dict[str, Any]) -> object:
    limit = found["rate_limit"]
    return UNLIMITED if limit is None else limit


timeline = timeline_of("keypair", lambda _, key: keypair_path(key))
