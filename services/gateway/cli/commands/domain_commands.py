"""`qm domain list`, `show`, `create`, `update` and `timeline`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding_people import domain_path
from services.gateway.cli.commands.tenancy import (
    active_option,
    flag,
    limit_fields,
    limit_options,
    limits,
    only_active_option,
)
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import (
    more_hint,
    print_fields,
    print_json,
    print_table,
    when,
    yes_no,
)
from services.gateway.cli.parsing import changes
from services.gateway.cli.settings import json_option


@click.command("list")
@click.option("--search", "name", help="Only those whose name contains this.")
@only_active_option
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_domains(
    ctx: click.Context, /, *, name: str | None, is_active: bool | None, limit: int
) -> None:
    """List domains."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed("/v1/domains", limit, name=name, is_active=flag(wanted=is_active))
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No domains match.")
        return
    print_table(
        ("name", "description", "active", "limits", "created"),
        [
            (
                item["name"],
                item["description"],
                yes_no(item["is_active"]),
                limits(item["total_resource_slots"]),
                when(item["created_at"]),
            )
            for item in found["items"]
        ],
    )
    more_hint(found)


@click.command()
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, *, name: str) -> None:
    """Show everything about the domain NAME."""
    with connect(cli_of(ctx)) as api:
        found = api.get(domain_path(name))
    _tell(ctx, found)


@click.command()
@click.argument("name")
@limit_options
@active_option
@json_option
@click.pass_context
def create(ctx: click.Context, /, *, name: str, **given: Any) -> None:
    """Create the domain NAME; the name stays for ever."""
    with connect(cli_of(ctx)) as api:
        made = api.settled(
            api.post("/v1/domains", changes(given | {"name": name})), domain_path(name)
        )
    _tell(ctx, made)


@click.command()
@click.argument("name")
@limit_options
@active_option
@json_option
@click.pass_context
def update(ctx: click.Context, /, *, name: str, **given: Any) -> None:
    """Change the domain NAME; what is not given stays."""
    body, path = changes(given), domain_path(name)
    with connect(cli_of(ctx)) as api:
        changed = api.settled(api.patch(path, body), path)
    _tell(ctx, changed)


timeline = timeline_of("domain", lambda _, name: domain_path(name))


def _tell(ctx: click.Context, found: dict[str, Any]) -> None:
    if cli_of(ctx).as_json:
        print_json(found)
        return
    print_fields(
        [
            ("name", found["name"]),
            ("description", found["description"]),
            ("active", yes_no(found["is_active"])),
            *limit_fields(found),
            ("created", when(found["created_at"])),
            ("modified", when(found["modified_at"])),
        ]
    )
