"""What a command needs to know: the endpoint, who asks, and how to print."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_ENDPOINT = "http://127.0.0.1:8420"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class CliError(click.ClickException):
    """Something that a person can read in one line and act upon."""

    def show(self, file: Any = None) -> None:
        """Print the message on standard error, as one line."""
        click.echo(f"qm: {' '.join(self.message.split())}", file=file, err=file is None)


@dataclass
class Cli:
    """The global options of this run."""

    endpoint: str | None
    credentials_file: str | None
    as_json: bool


def json_option(function: Decorated) -> Decorated:
    """Let `--json` also stand behind the command, where people type it."""

    def remember(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value and isinstance(ctx.obj, Cli):
            ctx.obj.as_json = True

    option = click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Print JSON instead of a table.",
    )
    return option(function)


def stored_path() -> Path:
    """Return where the token is kept: below XDG_CONFIG_HOME, else ~/.config."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "quartermaster" / "credentials.json"


def read_credentials(path: Path) -> dict[str, Any]:
    """Read a credentials file; {} when it does not exist. Raises CliError when unreadable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CliError(f"{path} can't be read as credentials: {error}") from error
    if not isinstance(found, dict):
        raise CliError(f"{path} holds no credentials: a JSON object is expected")
    return found


def store_credentials(credentials: dict[str, Any]) -> Path:
    """Keep a token so that only its owner can read it; replaces the file in one step."""
    path = stored_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(credentials, file, indent=2)
        file.write("\n")
    fresh.replace(path)
    return path


def forget_credentials() -> None:
    """Remove the stored token; nothing happens when there is none."""
    stored_path().unlink(missing_ok=True)
