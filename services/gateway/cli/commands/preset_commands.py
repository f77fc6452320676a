"""`qm preset list`, `show`, `create`, `update`, `delete` and `timeline`."""

from typing import Any
from urllib.parse import quote, urlencode

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import (
    more_hint,
    print_fields,
    print_json,
    print_table,
    size,
    slots,
    warn,
    when,
)
from services.gateway.cli.parsing import UNLIMITED, amount_of_bytes, changes, slot_amounts
from services.gateway.cli.settings import CliError, json_option

EVERY = "every group"
slot_option = click.option(
    "--slot",
    "resource_slots",
    multiple=True,
    callback=slot_amounts,
    metavar="SLOT=AMOUNT",
    help="What it asks for, such as cpu=2 or mem=8g; `none` takes a slot away.",
)
shared_memory_option = click.option(
    "--shared-memory",
    callback=amount_of_bytes,
    metavar="SIZE",
    help=f"Such as 64m; '{UNLIMITED}' as much as its memory.",
)
group_option = click.option(
    "--group", help="The one of this resource group; '' for the one of every group."
)


@click.command("list")
@click.option("--search", "name", help="Only those whose name contains this.")
@click.option("--group", "resource_group", multiple=True, help="Only those of these groups.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def list_presets(ctx: click.Context, /, *, limit: int, **given: Any) -> None:
    """List presets."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed("/v1/presets", limit, **given)
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No presets match.")
        return
    print_table(
        ("name", "group", "asks for", "shared memory", "id"),
        [
            (
                item["name"],
                item["resource_group"] or EVERY,
                slots(item["resource_slots"]),
                _size(item["shared_memory"]),
                item["id"],
            )
            for item in found["items"]
        ],
        spare="id",
    )
    more_hint(found)


@click.command()
@click.argument("preset")
@group_option
@json_option
@click.pass_context
def show(ctx: click.Context, *, preset: str, group: str | None) -> None:
    """Show PRESET."""
    with connect(cli_of(ctx)) as api:
        found = api.get(preset_path(preset, group))
    _tell(ctx, found)


@click.command()
@click.argument("name")
@slot_option
@shared_memory_option
@click.option("--group", "resource_group", help="Only for this resource group; else for every one.")
@json_option
@click.pass_context
def create(ctx: click.Context, /, **given: Any) -> None:
    """Create the preset NAME."""
    body = _amounts(changes(given | {"resource_slots": given["resource_slots"] or None}))
    with connect(cli_of(ctx)) as api:
        made = api.post("/v1/presets", body)
        if "task_id" in made:
            done = api.finish(str(made["task_id"]))
            made = api.get(f"/v1/presets/{done['result']['preset_id']}")
    _tell(ctx, made)


@click.command()
@click.argument("preset")
@slot_option
@shared_memory_option
@group_option
@json_option
@click.pass_context
def update(ctx: click.Context, /, *, preset: str, group: str | None, **given: Any) -> None:
    """Change what PRESET asks for; what is not given stays."""
    body, path = _amounts(changes(given)), preset_path(preset, group)
    with connect(cli_of(ctx)) as api:
        changed = api.settled(api.patch(path, body), path)
    _tell(ctx, changed)


@click.command()
@click.argument("presets", nargs=-1, required=True, metavar="PRESET...")
@group_option
@json_option
@click.pass_context
def delete(ctx: click.Context, *, presets: tuple[str, ...], group: str | None) -> None:
    """Delete PRESETs; sessions that were made from them are as they were."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        for preset in presets:
            answered = api.delete(preset_path(preset, group))
            if "task_id" in answered:
                api.finish(str(answered["task_id"]))
            if not cli.as_json:
                click.echo(f"{preset}: deleted.")
    if cli.as_json:
        print_json({"items": [{"name": preset} for preset in presets]})


def preset_path(preset: str, group: str | None = None) -> str:
    """Return where a preset is; `group` tells several of one name apart."""
    if not preset:
        raise CliError("a preset has a name")
    query = "" if group is None else f"?{urlencode({'resource_group': group})}"
    return f"/v1/presets/{quote(preset, safe='')}{query}"


timeline = timeline_of("preset", lambda _, preset: preset_path(preset))


def _amounts(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body in which what is to be taken away is null."""
    if body.get("shared_memory") == UNLIMITED:
        body["shared_memory"] = None
    return body


def _size(amount: int | None) -> str:
    return "" if amount is None else size(amount)


def _tell(ctx: click.Context, found: dict[str, Any]) -> None:
    if cli_of(ctx).as_json:
        print_json(found)
        return
    print_fields(
        [
            ("id", found["id"]),
            ("name", found["name"]),
            ("group", found["resource_group"] or EVERY),
            ("asks for", slots(found["resource_slots"])),
            ("shared memory", _size(found["shared_memory"])),
            ("created", when(found["created_at"])),
            ("modified", when(found["modified_at"])),
        ]
    )
    warn(found)
