"""`qm policy keypair|user|project`: the same commands for each kind of policy."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.policy_impact import impact_of
from services.gateway.cli.commands.policy_limits import (
    body_of,
    cells_of,
    columns_of,
    fields_of,
    limit_options,
)
from services.gateway.cli.commands.policy_references import references_of
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import (
    more_hint,
    print_fields,
    print_json,
    print_table,
    warn,
    when,
)
from services.gateway.cli.parsing import changes
from services.gateway.cli.settings import json_option


def path_of(kind: str, name: str) -> str:
    """Return where a policy is."""
    return f"/v1/{kind}-policies/{quote(name, safe='')}"


def _list(kind: str) -> click.Command:
    @click.command("list", help=f"List {kind} policies.")
    @click.option("--search", "name", help="Only those whose name contains this.")
    @click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
    @json_option
    @click.pass_context
    def list_policies(ctx: click.Context, /, *, name: str | None, limit: int) -> None:
        cli = cli_of(ctx)
        with connect(cli) as api:
            found = api.listed(f"/v1/{kind}-policies", limit, name=name)
        if cli.as_json:
            print_json(found)
            return
        if not found["items"]:
            click.echo("No policies match.")
            return
        rows = [(item["name"], *cells_of(kind, item)) for item in found["items"]]
        print_table(("name", *columns_of(kind)), rows)
        more_hint(found)

    return list_policies


def _show(kind: str) -> click.Command:
    @click.command("show", help="Show the limits of the policy NAME.")
    @click.argument("name")
    @json_option
    @click.pass_context
    def show(ctx: click.Context, *, name: str) -> None:
        with connect(cli_of(ctx)) as api:
            found = api.get(path_of(kind, name))
        _tell(ctx, kind, found)

    return show


def _create(kind: str) -> click.Command:
    text = "Create the policy NAME; the name stays for ever, and what is not given is unlimited."

    @click.command("create", help=text)
    @click.argument("name")
    @limit_options(kind)
    @json_option
    @click.pass_context
    def create(ctx: click.Context, /, *, name: str, **given: Any) -> None:
        body = body_of(changes(given | {"name": name}))
        with connect(cli_of(ctx)) as api:
            made = api.settled(api.post(f"/v1/{kind}-policies", body), path_of(kind, name))
        _tell(ctx, kind, made)

    return create


def _update(kind: str) -> click.Command:
    text = "Change the policy NAME; what is not given stays. It holds from the next decision on."

    @click.command("update", help=text)
    @click.argument("name")
    @limit_options(kind)
    @json_option
    @click.pass_context
    def update(ctx: click.Context, /, *, name: str, **given: Any) -> None:
        body, path = body_of(changes(given)), path_of(kind, name)
        with connect(cli_of(ctx)) as api:
            changed = api.settled(api.patch(path, body), path)
        _tell(ctx, kind, changed)

    return update


def _delete(kind: str) -> click.Command:
    @click.command("delete", help="Delete policies that nothing uses.")
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    @json_option
    @click.pass_context
    def delete(ctx: click.Context, *, names: tuple[str, ...]) -> None:
        cli = cli_of(ctx)
        with connect(cli) as api:
            for name in names:
                answered = api.delete(path_of(kind, name))
                if "task_id" in answered:
                    api.finish(str(answered["task_id"]))
                if not cli.as_json:
                    click.echo(f"{name}: deleted.")
        if cli.as_json:
            print_json({"items": [{"name": name} for name in names]})

    return delete


def _tell(ctx: click.Context, kind: str, found: dict[str, Any]) -> None:
    if cli_of(ctx).as_json:
        print_json(found)
        return
    print_fields(
        [
            ("name", found["name"]),
            *fields_of(kind, found),
            ("created", when(found["created_at"])),
            ("modified", when(found["modified_at"])),
        ]
    )
    warn(found)


def _group(kind: str) -> click.Group:
    def finder(name: str) -> str:
        return path_of(kind, name)

    makers: tuple[Callable[[str], click.Command], ...] = (_list, _show, _create, _update, _delete)
    group = click.Group(kind, help=f"Limits of {kind}s, under a name.")
    for maker in makers:
        group.add_command(maker(kind))
    group.add_command(references_of(finder))
    group.add_command(impact_of(kind, finder))
    group.add_command(timeline_of("policy", lambda _, name: path_of(kind, name)))
    return group


keypair, user, project = (_group(kind) for kind in ("keypair", "user", "project"))
