"""`qm group create`, `update` and `delete`."""

from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding_people import find_project, is_id
from services.gateway.cli.commands.group_commands import group_path, tell
from services.gateway.cli.output import print_json
from services.gateway.cli.parsing import changes
from services.gateway.cli.settings import json_option

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
AS_SET = "as-set"
NONE = "none"
EVERY = "every"
_OPTIONS = (
    click.option("--description"),
    click.option("--active/--inactive", "is_active", default=None, help="Whether it takes more."),
    click.option(
        "--public/--private",
        "is_public",
        default=None,
        help="A private one is hidden from users and takes no sessions of theirs.",
    ),
    click.option("--default", "is_default", flag_value=True, default=None, type=bool),
    click.option("--scheduler", type=click.Choice(["fifo", "lifo", "drf"])),
    click.option(
        "--retries",
        "retries_to_skip",
        metavar="NUMBER",
        help=f"Tries of the first in line before others pass it; '{AS_SET}': as in the settings.",
    ),
    click.option(
        "--pending-timeout", type=click.IntRange(0), metavar="SECONDS", help="0 is never."
    ),
    click.option(
        "--type",
        "allowed_session_types",
        multiple=True,
        type=click.Choice(["interactive", "batch", "inference"]),
        help="A type of sessions that it takes.",
    ),
    click.option(
        "--strategy",
        "agent_selection_strategy",
        type=click.Choice(["dispersed", "concentrated", "roundrobin", "legacy"]),
        help="Which agent a session gets.",
    ),
    click.option(
        "--spread-shares/--no-spread-shares",
        "allow_fractional_resource_fragmentation",
        default=None,
        help="Whether a share of GPUs may come from several devices.",
    ),
    click.option("--proxy", "wsproxy_addr", metavar="URL", help="The app proxy; '' for none."),
    click.option(
        "--proxy-token-file",
        type=click.File("r", encoding="utf-8"),
        help="The app proxy's token is in this file; - is the standard input.",
    ),
    click.option(
        "--domain",
        "allowed_domains",
        multiple=True,
        help=f"A domain that may use it; '{EVERY}' or '{NONE}'.",
    ),
    click.option(
        "--project",
        "allowed_projects",
        multiple=True,
        help=f"A project that may use it, by name or id; '{NONE}'.",
    ),
    click.option(
        "--keypair",
        "allowed_keypairs",
        multiple=True,
        metavar="ACCESS_KEY",
        help=f"A keypair that may use it; '{NONE}'.",
    ),
)


def group_options(function: Decorated) -> Decorated:
    """Let a command take everything that a resource group may be told."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command()
@click.argument("name")
@group_options
@json_option
@click.pass_context
def create(ctx: click.Context, /, *, name: str, **given: Any) -> None:
    """Create the resource group NAME; the name stays for ever."""
    with connect(cli_of(ctx)) as api:
        body = _body(api, given | {"name": name})
        made = api.settled(api.post("/v1/resource-groups", body), group_path(name))
    tell(ctx, made)


@click.command()
@click.argument("name")
@group_options
@json_option
@click.pass_context
def update(ctx: click.Context, /, *, name: str, **given: Any) -> None:
    """Change the resource group NAME; what is not given stays, lists are given whole."""
    path = group_path(name)
    with connect(cli_of(ctx)) as api:
        changed = api.settled(api.patch(path, _body(api, given)), path)
    tell(ctx, changed)


@click.command()
@click.argument("name")
@json_option
@click.pass_context
def delete(ctx: click.Context, *, name: str) -> None:
    """Delete the resource group NAME, if nothing refers to it."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        answered = api.delete(group_path(name))
        if "task_id" in answered:
            api.finish(str(answered["task_id"]))
    if cli.as_json:
        print_json({"name": name, "deleted": True})
    else:
        click.echo(f"The resource group {name} is deleted.")


def _body(api: Api, given: dict[str, Any]) -> dict[str, Any]:
    """Return what the API takes."""
    token: TextIO | None = given.pop("proxy_token_file")
    if token is not None:
        given["wsproxy_api_token"] = token.read().strip()
    body: dict[str, Any] = changes(given)
    for field, words in (
        ("allowed_domains", {NONE, EVERY}),
        ("allowed_projects", {NONE}),
        ("allowed_keypairs", {NONE}),
    ):
        if field in body:
            body[field] = _named(body[field], words)
    if body.get("allowed_projects"):
        body["allowed_projects"] = [
            key if is_id(key) else find_project(api, key)["id"] for key in body["allowed_projects"]
        ]
    if "retries_to_skip" in body:
        body["retries_to_skip"] = _retries(body["retries_to_skip"])
    return body


def _named(names: tuple[str, ...], words: set[str]) -> list[str] | None:
    """Return a list as the API takes it: a word stands for nobody or, as null, for all."""
    said = words & set(names)
    if said and len(names) > 1:
        raise click.UsageError(f"'{said.pop()}' stands alone")
    if said == {EVERY}:
        return None
    return [] if said else list(names)


def _retries(text: str) -> int | None:
    if text == AS_SET:
        return None
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"'{text}' is neither a number nor '{AS_SET}'")
    return int(text)
