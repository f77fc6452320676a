"""`qm user bulk`."""

import json
from pathlib import Path
from typing import Any

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.following import follow
from services.gateway.cli.output import print_json, print_table
from services.gateway.cli.settings import CliError, json_option

BULK = "/v1/users/bulk"


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--generate-passwords",
    is_flag=True,
    help="Draw a password for each row without one; it is printed once and must be changed.",
)
@click.option("--task", "task_id", metavar="ID", help="Go on watching one that was begun before.")
@json_option
@click.pass_context
def bulk(
    ctx: click.Context, *, file: str | None, generate_passwords: bool, task_id: str | None
) -> None:
    """Create the users in FILE (.csv or .json), each row by itself: bad rows stop no good ones.

    CSV has a header with email, username, password, full_name, description, domain, projects
    (ids, with ; between), role, status, resource_policy …; JSON is a list of such objects. Leaves
    with 1 when a row failed. Ctrl-C cancels what has not been done.
    """
    if (file is None) == (task_id is None):
        raise click.UsageError("give a FILE, or --task with the id of one that was begun")
    cli = cli_of(ctx)
    with connect(cli) as api:
        if file is not None:
            answered = _send(api, Path(file), generate_passwords=generate_passwords)
            task_id = answered.get("task_id")
        status = "done"
        if task_id is not None and (file is None or "results" not in answered):
            hint = f"This is task {task_id}; watch it with: qm user bulk --task {task_id}"
            task = follow(api, task_id, hint)
            answered, status = task["result"], task["status"]
    if cli.as_json:
        print_json(answered | {"status": status})
    else:
        _tell(answered)
    left = " before it was cancelled" if status == "cancelled" else ""
    click.echo(f"{answered['created']} created, {answered['failed']} failed{left}.", err=True)
    if answered["failed"] or left:
        ctx.exit(1)


def _send(api: Api, path: Path, *, generate_passwords: bool) -> dict[str, Any]:
    """Send a file as what its name says it is; raises CliError for what can't be read."""
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".csv":
            flag = "true" if generate_passwords else None
            return api.post_text(BULK, content, "text/csv", generate_passwords=flag)
        if path.suffix.lower() != ".json":
            raise CliError(f"{path} is neither .csv nor .json")
        found = json.loads(content)
    except (OSError, ValueError) as error:
        raise CliError(f"{path} can't be read: {error}") from error
    body = {"users": found} if isinstance(found, list) else found
    if not isinstance(body, dict):
        raise CliError(f"{path} holds no users: a list of objects is expected")
    return api.post(BULK, body | ({"generate_passwords": True} if generate_passwords else {}))


def _tell(answered: dict[str, Any]) -> None:
    results = answered["results"]
    has_passwords = any(row.get("password") for row in results)
    print_table(
        ("row", "email", "status", "access key", *(["password"] if has_passwords else []), "why"),
        [
            (
                row["index"] + 1,
                row.get("email") or row.get("user_id"),
                row["status"],
                row.get("access_key"),
                *([row.get("password")] if has_passwords else []),
                "; ".join(_why(error) for error in row.get("errors") or []),
            )
            for row in results
        ],
    )
    if has_passwords:
        click.echo("Keep the passwords now: they are shown only here.", err=True)


def _why(error: dict[str, Any]) -> str:
    return f"{error['field']}: {error['message']}" if error["field"] else str(error["message"])
