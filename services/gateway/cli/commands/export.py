"""`qm export`: a whole list as CSV."""

import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import httpx

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.parsing import moment
from services.gateway.cli.settings import CliError

LISTS: Final = (
    "users",
    "keypairs",
    "sessions",
    "keypair-policies",
    "user-policies",
    "project-policies",
    "events",
)
STDOUT: Final = "-"
SUFFIX: Final = ".part"


@click.command()
@click.argument("what", type=click.Choice(LISTS))
@click.option("--columns", metavar="NAME,…", help="Which columns, in this order.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="FIELD=VALUE",
    help="As of the list, such as status=active; repeated for one field it means any of them.",
)
@click.option("--sort", metavar="FIELD,…", help="A `-` before a field descends.")
@click.option("--at", callback=moment, metavar="TIME", help="As it was at this time.")
@click.option(
    "--output", "-o", default=STDOUT, metavar="FILE", help="Where to write; the standard output."
)
@click.option("--force", is_flag=True, help="Write over a FILE that exists.")
@click.pass_context
def export(
    ctx: click.Context,
    /,
    *,
    what: str,
    filters: tuple[str, ...],
    output: str,
    force: bool,
    **more: Any,
) -> None:
    """Write all of a list that you may see as CSV, however long it is."""
    query: dict[str, Any] = dict(more)
    for text in filters:
        field, equals, value = text.partition("=")
        if not (field and equals):
            raise click.UsageError(f"'{text}' is not FIELD=VALUE")
        query.setdefault(field, []).append(value)
    path = None if output == STDOUT else Path(output)
    if path is not None and path.exists() and not force:
        raise CliError(f"{path} exists; --force writes over it")
    with (
        connect(cli_of(ctx)) as api,
        api.stream(f"/v1/exports/{what}.csv", "text/csv", **query) as answer,
    ):
        if path is None:
            _copy(answer, sys.stdout.buffer)
            return
        # a file of this name is always a whole one
        part = path.with_name(f"{path.name}{SUFFIX}")
        try:
            with part.open("wb") as file:
                _copy(answer, file)
            part.replace(path)
        except OSError as error:
            raise CliError(f"{path} can't be written: {error}") from error
        finally:
            part.unlink(missing_ok=True)
    click.echo(f"{path}: {path.stat().st_size} bytes.", err=True)


def _copy(answer: httpx.Response, file: BinaryIO) -> None:
    file.writelines(answer.iter_bytes())
    file.flush()
