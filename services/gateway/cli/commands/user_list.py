"""`qm user list`."""

from typing import Any, Final

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.output import age, more_hint, print_json, print_table
from services.gateway.cli.parsing import moment
from services.gateway.cli.settings import json_option

SEARCHED: Final = ("email", "username", "full_name")


@click.command("list")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(["active", "inactive", "before_verification"]),
    help="Only these statuses.",
)
@click.option("--role", multiple=True, help="Only these roles (user, admin …).")
@click.option("--domain", multiple=True, help="Only these domains.")
@click.option("--search", help="Only those with this in e-mail, user name or full name.")
@click.option("--email", help="Only those whose e-mail contains this.")
@click.option("--at", callback=moment, metavar="TIME", help="As it was at this time.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_users(ctx: click.Context, /, *, search: str | None, limit: int, **given: Any) -> None:
    """List users."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        if search:
            found = _search(api, search, limit, given)
        else:
            found = api.listed("/v1/users", limit, **given)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No users match.")
        return
    print_table(
        ("email", "username", "name", "role", "status", "domain", "created", "id"),
        [
            (
                item.get("email") or ("(erased)" if item.get("erased") else None),
                item.get("username"),
                item.get("full_name"),
                item.get("role"),
                item.get("status"),
                item.get("domain"),
                age(item.get("created_at")),
                item.get("id"),
            )
            for item in found["items"]
        ],
        spare="id",
    )
    more_hint(found)


def _search(api: Api, text: str, limit: int, given: dict[str, Any]) -> dict[str, Any]:
    """Return the users that one of the searched fields finds; the API looks at one at a time.

    `total` counts at least what there is: exactly when everything is shown.
    """
    pages = [
        api.listed("/v1/users", limit, **(given | {field: text}))
        for field in SEARCHED
        if not given.get(field)
    ]
    users = {item["id"]: item for page in pages for item in page["items"]}
    items = sorted(users.values(), key=lambda item: (item["created_at"], item["id"]))
    more = any(page["total"] > len(page["items"]) for page in pages)
    total = max(len(items), *(page["total"] for page in pages)) if more else len(items)
    return {"items": items[:limit], "total": total, "next_cursor": None}
