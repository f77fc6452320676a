"""Options that narrow sessions: those of a list, and of statistics."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from services.gateway.cli.api import Api
from services.gateway.cli.commands.finding_people import find_project, find_user_id

F = TypeVar("F", bound=Callable[..., Any])
_SPANS: Final = ("created", "started", "terminated")
# option -> query parameter of the API
NAMES: Final = {
    "session_type": "type",
    "name": "name",
    "resource_group": "resource_group",
    "user": "user_id",
    "project": "project",
    "domain": "domain",
    "image": "image",
    "agent": "agent",
    "priority": "priority",
    "result": "result",
    "why": "status_info",
}


def narrowing(command: F) -> F:
    """Add the options to a command, which gets them as keywords."""
    options = [
        click.option("--name", help="Only those whose name contains this."),
        click.option("--group", "resource_group", multiple=True, help="Of these resource groups."),
        click.option("--type", "session_type", multiple=True, help="batch, interactive …"),
        click.option("--user", help="Of this user (e-mail or id)."),
        click.option("--project", help="Of this project (name or id)."),
        click.option("--domain", help="Of this domain."),
        click.option("--image", help="Whose image contains this."),
        click.option("--agent", multiple=True, help="That have been on any of these agents."),
        click.option("--priority", type=int, multiple=True, help="Of these priorities."),
        click.option("--result", multiple=True, help="success, failure or undefined."),
        click.option("--why", multiple=True, help="That ended for such a reason (task-failed …)."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def spans(command: F) -> F:
    """Add options that bound when a session was created, started and terminated."""
    for name in reversed(_SPANS):
        for end, text in (("to", "before"), ("from", "at or after")):
            option = f"--{name}-{end}"
            command = click.option(option, help=f"{name.title()} {text} this time (RFC 3339).")(
                command
            )
    return command


def narrowed(api: Api, given: dict[str, Any]) -> dict[str, Any]:
    """Return the query of what was given; looks people and projects up by what they are called."""
    query = {name: given[option] for option, name in NAMES.items() if given.get(option)}
    for name in _SPANS:
        for end in ("from", "to"):
            if given.get(f"{name}_{end}"):
                query[f"{name}_{end}"] = given[f"{name}_{end}"]
    if "user_id" in query:
        query["user_id"] = find_user_id(api, query["user_id"])
    if "project" in query:
        query["project"] = find_project(api, query["project"])["id"]
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in query.items()
    }
