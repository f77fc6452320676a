"""`qm group list`, `show`, `references` and `timeline`."""

from typing import Any
from urllib.parse import quote

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.tenancy import flag, only_active_option
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import (
    more_hint,
    print_fields,
    print_json,
    print_table,
    when,
    yes_no,
)
from services.gateway.cli.settings import json_option


def group_path(name: str) -> str:
    """Return where a resource group is."""
    return f"/v1/resource-groups/{quote(name, safe='')}"


@click.command("list")
@click.option("--search", "name", help="Only those whose name contains this.")
@only_active_option
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_groups(
    ctx: click.Context, /, *, name: str | None, is_active: bool | None, limit: int
) -> None:
    """List the resource groups that you may see."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed(
            "/v1/resource-groups", limit, name=name, is_active=flag(wanted=is_active)
        )
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No resource groups match.")
        return
    print_table(
        ("name", "description", "active", "default", "scheduler", "agents", "session types"),
        [
            (
                item["name"],
                item["description"],
                yes_no(item["is_active"]),
                yes_no(item["is_default"]),
                item["scheduler"],
                item["agent_selection_strategy"],
                ", ".join(item["allowed_session_types"]),
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
    """Show everything about the resource group NAME."""
    with connect(cli_of(ctx)) as api:
        found = api.get(group_path(name))
    tell(ctx, found)


@click.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@json_option
@click.pass_context
def references(ctx: click.Context, *, name: str, limit: int) -> None:
    """Show what refers to the resource group NAME, and whether it could be deleted."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.get(f"{group_path(name)}/references", limit=limit)
    if cli.as_json:
        print_json(found)
        return
    if found["items"]:
        print_table(
            ("type", "name", "status", "id"),
            [(item["type"], item["name"], item["status"], item["id"]) for item in found["items"]],
            spare="id",
        )
        more_hint(found)
    click.echo("It can be deleted." if found["deletable"] else found["reason"]["message"])


timeline = timeline_of("resource-group", lambda _, name: group_path(name))


def tell(ctx: click.Context, found: dict[str, Any]) -> None:
    """Print a resource group; who may enter is told only to those who see it."""
    if cli_of(ctx).as_json:
        print_json(found)
        return
    retries, timeout = found["retries_to_skip"], found["pending_timeout"]
    fields: list[tuple[str, object]] = [
        ("name", found["name"]),
        ("description", found["description"]),
        ("active", yes_no(found["is_active"])),
        ("public", yes_no(found["is_public"])),
        ("default", yes_no(found["is_default"])),
        ("scheduler", found["scheduler"]),
        ("retries to skip", "as in the settings" if retries is None else retries),
        ("pending timeout", f"{timeout} s" if timeout else "never"),
        ("session types", ", ".join(found["allowed_session_types"])),
        ("agent selection", found["agent_selection_strategy"]),
        ("shares over devices", yes_no(found["allow_fractional_resource_fragmentation"])),
    ]
    if "allowed_domains" in found:
        domains = found["allowed_domains"]
        fields += [
            ("app proxy", found["wsproxy_addr"]),
            ("app proxy's token", "set" if found["has_wsproxy_api_token"] else None),
            ("domains", "every domain" if domains is None else ", ".join(domains)),
            ("projects", ", ".join(found["allowed_projects"])),
            ("keypairs", ", ".join(found["allowed_keypairs"])),
        ]
    fields += [("created", when(found["created_at"])), ("modified", when(found["modified_at"]))]
    print_fields(fields)
