"""`qm user show` and `qm user timeline`."""

from typing import Any

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding_people import find_user, find_user_id
from services.gateway.cli.commands.timeline import timeline_of
from services.gateway.cli.output import print_fields, print_json, when, yes_no
from services.gateway.cli.parsing import moment
from services.gateway.cli.settings import json_option


@click.command()
@click.argument("user", default="me")
@click.option("--at", callback=moment, metavar="TIME", help="As it was at this time.")
@json_option
@click.pass_context
def show(ctx: click.Context, *, user: str, at: str | None) -> None:
    """Show everything about USER, by default yourself."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = find_user(api, user, at)
        names = [] if cli.as_json else _project_names(api, found)
    if cli.as_json:
        print_json(found)
    else:
        print_user(found, names)


def _project_names(api: Api, found: dict[str, Any]) -> list[str]:
    ids = found.get("projects") or []
    if not ids:
        return []
    projects = api.listed("/v1/projects", len(ids), id=ids)["items"]
    return sorted(str(project["name"]) for project in projects)


def print_user(found: dict[str, Any], project_names: list[str] | None = None) -> None:
    """Print a user; the projects only where their names are given."""
    blocked = found.get("login_blocked_until")
    print_fields(
        [
            ("id", found.get("id")),
            ("email", found.get("email")),
            ("username", found.get("username")),
            ("full name", found.get("full_name")),
            ("description", found.get("description")),
            ("status", found.get("status")),
            *([("erased", "yes")] if found.get("erased") else []),
            ("role", found.get("role")),
            ("domain", found.get("domain")),
            *([] if project_names is None else [("projects", ", ".join(project_names))]),
            ("policy", found.get("resource_policy")),
            ("main access key", found.get("main_access_key")),
            ("second factor", yes_no(found.get("totp_enabled"))),
            ("must change password", yes_no(found.get("password_change_required"))),
            ("sudo in sessions", yes_no(found.get("sudo_session_enabled"))),
            ("last login", when(found.get("last_login_at"))),
            *([("login blocked until", when(blocked))] if blocked else []),
            ("created", when(found.get("created_at"))),
            ("modified", when(found.get("modified_at"))),
        ]
    )


timeline = timeline_of("user", lambda api, key: f"/v1/users/{find_user_id(api, key)}")
