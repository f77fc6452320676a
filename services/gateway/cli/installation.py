"""This machine's installation, for commands that look at it directly."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from services.gateway.cli.settings import CliError

DEFAULT_DATA: Final = Path(__file__).parents[3] / "var"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def data_option(function: Decorated) -> Decorated:
    """Let a command be told which installation of this machine is meant."""
    option = click.option(
        "--data",
        envvar="QM_DATA",
        default=str(DEFAULT_DATA),
        metavar="DIRECTORY",
        help="Where the installation keeps its things, as given to 'qm up'.",
    )
    return option(function)


def supervisor_state(data: str) -> dict[str, Any]:
    """Return what the supervisor of an installation last wrote, {} when none runs here."""
    found = _read(Path(data) / "run" / "state.json")
    return found if found and _is_alive(found.get("pid")) else {}


def connections(data: str) -> dict[str, str]:
    """Return the administrative addresses of an installation's servers; raises CliError."""
    path = Path(data) / "secrets" / "connections.json"
    found = _read(path)
    if not found:
        raise CliError(f"there is no installation in {data}; give its directory with --data")
    return found


def key_files(data: str) -> tuple[Path, Path | None]:
    """Return an installation's files of master keys and of its node's key, None without a node.

    Generated secrets for containers lie in one directory, which can be given too.
    Raises CliError.
    """
    for directory in (Path(data) / "secrets", Path(data)):
        master, node = directory / "master-key.json", directory / "node-key.json"
        if master.exists():
            return master, node if node.exists() else None
    raise CliError(f"there is no master key in {data}; give the installation's --data directory")


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CliError(f"{path} can't be read: {error}") from error
    return found


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
