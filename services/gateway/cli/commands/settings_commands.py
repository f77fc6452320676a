"""`qm settings show`, `set` and `reset`."""

import json
from typing import Any
from urllib.parse import quote

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.timeline import print_timeline
from services.gateway.cli.output import (
    more_hint,
    print_fields,
    print_json,
    print_table,
    when,
    yes_no,
)
from services.gateway.cli.settings import CliError, json_option

PATH = "/v1/settings"
NONE = "none"


@click.command()
@click.argument("setting", required=False)
@click.option("--changed", is_flag=True, help="Only those that do not have their defaults.")
@json_option
@click.pass_context
def show(ctx: click.Context, *, setting: str | None, changed: bool) -> None:
    """Show all settings, or SETTING and what it may be."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.get(PATH)
    if cli.as_json:
        print_json(found)
    elif setting is not None:
        _tell_one(setting, found)
    else:
        _tell_all(found, only_changed=changed)


def _tell_all(found: dict[str, Any], *, only_changed: bool) -> None:
    rows = [
        (key, _text(value), _text(about["default"]), when(about["changed_at"]))
        for key, about in found["schema"].items()
        if not only_changed or _value(found, key) != about["default"]
        for value in (_value(found, key),)
    ]
    if not rows:
        click.echo("Every setting has its default.")
        return
    print_table(("setting", "value", "default", "changed"), rows)


def _tell_one(key: str, found: dict[str, Any]) -> None:
    about = _about(found, key)
    least, most = about["minimum"], about["maximum"]
    allowed = ", ".join(about["choices"])
    if least is not None or most is not None:
        allowed = f"{'' if least is None else least} … {'' if most is None else most}".strip()
    print_fields(
        [
            ("setting", key),
            ("value", _text(_value(found, key))),
            ("default", _text(about["default"])),
            ("type", about["type"]),
            ("allowed", allowed),
            ("may be none", yes_no(about["nullable"])),
            ("scope", about["scope"]),
            ("changed", when(about["changed_at"])),
            ("by", about["changed_by"]),
        ]
    )
    click.echo(f"\n{about['description']}")


@click.command("set")
@click.argument("settings", nargs=-1, required=True, metavar="SETTING=VALUE...")
@json_option
@click.pass_context
def change(ctx: click.Context, *, settings: tuple[str, ...]) -> None:
    """Change settings, all of them or none; `none` is no limit, where that is allowed."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        schema = api.get(PATH)
        body: dict[str, Any] = {}
        for text in settings:
            key, equals, given = text.partition("=")
            if not equals:
                raise click.UsageError(f"'{text}' is not SETTING=VALUE")
            section, dot, name = key.partition(".")
            value = _parsed(key, given, _about(schema, key))
            (body.setdefault(section, {}) if dot else body)[name if dot else key] = value
        found = api.settled(api.patch(PATH, body), PATH)
    if cli.as_json:
        print_json(found)
        return
    keys = [text.partition("=")[0] for text in settings]
    print_fields([(key, _text(_value(found, key))) for key in keys])


@click.command()
@click.argument("settings", nargs=-1, metavar="SETTING...")
@click.option("--all", "resets_all", is_flag=True, help="All of them.")
@json_option
@click.pass_context
def reset(ctx: click.Context, *, settings: tuple[str, ...], resets_all: bool) -> None:
    """Give settings their defaults again, whatever those are."""
    if bool(settings) == resets_all:
        raise click.UsageError("name the settings, or say --all")
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = _reset(api, settings)
    if cli.as_json:
        print_json(found)
        return
    print_fields([(key, _text(_value(found, key))) for key in settings or found["schema"]])


def _reset(api: Api, settings: tuple[str, ...]) -> dict[str, Any]:
    if not settings:
        return api.settled(api.post(f"{PATH}/reset"), PATH)
    known = api.get(PATH)
    for key in settings:
        _about(known, key)
    for key in settings:
        answered = api.delete(f"{PATH}/{quote(key, safe='')}")
        if "task_id" in answered:
            api.finish(str(answered["task_id"]))
    return api.get(PATH)


@click.command()
@click.option("--limit", type=click.IntRange(1, 5000), default=50, show_default=True)
@json_option
@click.pass_context
def timeline(ctx: click.Context, *, limit: int) -> None:
    """Show who has changed which settings, the newest first."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = api.listed(f"{PATH}/timeline", limit)
    if cli.as_json:
        print_json(found)
        return
    print_timeline(found["items"], "settings")
    more_hint(found)


def _about(found: dict[str, Any], key: str) -> dict[str, Any]:
    about: dict[str, Any] | None = found["schema"].get(key)
    if about is None:
        raise CliError(f"there is no setting '{key}'; there are: {', '.join(found['schema'])}")
    return about


def _value(found: dict[str, Any], key: str) -> Any:
    section, dot, name = key.partition(".")
    return found[section][name] if dot else found[section]


def _parsed(key: str, given: str, about: dict[str, Any]) -> Any:
    """Return what was typed as the type of the setting; the API tells whether it may be so."""
    if given == NONE and about["nullable"]:
        return None
    if about["type"] == "boolean" and given in {"true", "false", "yes", "no"}:
        return given in {"true", "yes"}
    if about["type"] == "integer":
        try:
            return int(given)
        except ValueError as error:
            raise CliError(f"{key} is a whole number, not '{given}'") from error
    return given


def _text(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return yes_no(value)
    return value if isinstance(value, str) else json.dumps(value)
