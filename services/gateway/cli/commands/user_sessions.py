"""`qm user sessions` and `qm user revoke`: where somebody is logged in."""

from typing import Any
from urllib.parse import quote

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding_people import ME, find_user_id
from services.gateway.cli.output import more_hint, print_json, print_table, when
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("user", default=ME)
@click.option("--all", "everything", is_flag=True, help="Those that are over too.")
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@json_option
@click.pass_context
def sessions(ctx: click.Context, *, user: str, everything: bool, limit: int) -> None:
    """List the log-in sessions of USER, by default your own, the newest first."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = _sessions(api, user, limit, None if everything else "false")
    if cli.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No log-in sessions.")
        return
    print_table(
        ("id", "from", "created", "expires", "ended", "why"),
        [
            (
                item["id"],
                item.get("client_address"),
                when(item["created_at"]),
                when(item["expires_at"]),
                when(item.get("ended_at")),
                item.get("end_reason"),
            )
            for item in found["items"]
        ],
    )
    more_hint(found)


@click.command()
@click.argument("user")
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@json_option
@click.pass_context
def revoke(ctx: click.Context, *, user: str, sessions: tuple[str, ...], everything: bool) -> None:
    """End log-in sessions of USER: their tokens are no longer good."""
    if bool(sessions) == everything:
        raise click.UsageError("name the sessions to end, or give --all")
    cli = cli_of(ctx)
    ended = []
    with connect(cli) as api:
        path = _path(api, user)
        if everything:
            live = api.listed(path, 5000, is_over="false")["items"]
            sessions = tuple(str(item["id"]) for item in live)
        for login_id in sessions:
            answered = api.delete(f"{path}/{quote(login_id, safe='')}")
            ended.append({"id": login_id})
            if "task_id" in answered:
                api.finish(str(answered["task_id"]))
            if not cli.as_json:
                click.echo(f"{login_id}: revoked.")
    if cli.as_json:
        print_json({"items": ended})
    elif not ended:
        click.echo("No log-in sessions.")


def _sessions(api: Api, user: str, limit: int, is_over: str | None) -> dict[str, Any]:
    return api.listed(_path(api, user), limit, is_over=is_over)


def _path(api: Api, user: str) -> str:
    return "/v1/auth/sessions" if user == ME else f"/v1/users/{find_user_id(api, user)}/sessions"
