"""How results are printed: tables for people, JSON for programs, the same facts in both."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
STYLES: Final = {
    "RUNNING": "green",
    "ALIVE": "green",
    "active": "green",
    "created": "green",
    "before_verification": "yellow",
    "inactive": "red",
    "failed": "red",
    "running": "green",
    "ok": "green",
    "up": "green",
    "PENDING": "yellow",
    "SCHEDULED": "cyan",
    "PREPARING": "cyan",
    "TERMINATING": "magenta",
    "RESTARTING": "magenta",
    "ERROR": "red",
    "LOST": "red",
    "down": "red",
    "away": "red",
    "CANCELLED": "dim",
    "TERMINATED": "dim",
}
PIPE_COLUMNS: Final = 400
NEVER_WRAPPED: Final = frozenset(
    {"id", "status", "created", "at", "email", "access key", "password"}
)


def print_json(value: object) -> None:
    """Print a value as JSON that a person can read too."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, spare: str | None = None
) -> None:
    """Print rows under headings; a pipe gets every column in full.

    On a terminal too narrow for everything the column `spare` is left out.
    """
    from rich.console import Console  # noqa: PLC0415  # costs start-up
    from rich.measure import Measurement  # noqa: PLC0415  # costs start-up

    console = Console() if sys.stdout.isatty() else Console(width=PIPE_COLUMNS)
    table = _table(columns, rows)
    wide = console.options.update(max_width=PIPE_COLUMNS)
    if spare in columns and Measurement.get(console, wide, table).maximum > console.width:
        left_out = columns.index(spare)
        table = _table(_without(columns, left_out), [_without(row, left_out) for row in rows])
    console.print(table)


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> "Table":
    from rich.table import Table  # noqa: PLC0415  # costs start-up
    from rich.text import Text  # noqa: PLC0415  # costs start-up

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.upper(), no_wrap=column in NEVER_WRAPPED)
    for row in rows:
        cells = [Text("—" if cell in (None, "") else str(cell)) for cell in row]
        for cell in cells:
            cell.stylize(STYLES.get(cell.plain, ""))
        table.add_row(*cells)
    return table


def _without(cells: Sequence[T], index: int) -> list[T]:
    return [*cells[:index], *cells[index + 1 :]]


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print one object as names and values, one a line."""
    width = max((len(name) for name, _ in fields), default=0)
    for name, value in fields:
        shown = "—" if value in (None, "") else str(value)
        styled = click.style(shown, fg=_colour(shown))
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {styled}")


def more_hint(found: dict[str, Any]) -> None:
    """Say on standard error that a list goes on, where it does."""
    shown, total = len(found["items"]), found.get("total") or 0
    if total > shown:
        click.echo(f"… {shown} of {total}; --limit shows more.", err=True)


def warn(found: dict[str, Any]) -> None:
    """Say on standard error what was allowed and yet makes no sense."""
    for warning in found.get("warnings") or ():
        click.echo(f"warning: {warning['message']}", err=True)


def yes_no(value: object) -> str:
    """Render a flag."""
    return "yes" if value else "no"


def _colour(text: str) -> str | None:
    style = STYLES.get(text)
    return None if style == "dim" else style


def when(moment: str | None) -> str:
    """Render an API time in local time, to the second; empty for none."""
    if not moment:
        return ""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def between(estimate: dict[str, str] | None) -> str:
    """Render an estimated moment, `low`, `likely` and `high`, in local time; empty for none."""
    if not estimate:
        return ""
    low, likely, high = (
        datetime.fromisoformat(estimate[part]).astimezone() for part in ("low", "likely", "high")
    )
    is_today = {low.date(), high.date()} == {datetime.now(tz=UTC).astimezone().date()}
    form = "%H:%M" if is_today else "%Y-%m-%d %H:%M"
    ends = [moment.strftime(form) for moment in (low, high)]
    told = f"about {likely.strftime(form)}"
    return told if ends[0] == ends[1] else f"{told} ({ends[0]} to {ends[1]})"


def age(moment: str | None) -> str:
    """Render how long ago an API time was, in its largest unit; empty for none."""
    if not moment:
        return ""
    seconds = (datetime.now(tz=UTC) - datetime.fromisoformat(moment)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{max(0, int(seconds))}s ago"


def size(amount: float) -> str:
    """Render a number of bytes with a binary unit, to one decimal."""
    rest = float(amount)
    for unit in UNITS[:-1]:
        if abs(rest) < 1024:
            return f"{rest:.1f}".removesuffix(".0") + f" {unit}"
        rest /= 1024
    return f"{rest:.1f}".removesuffix(".0") + f" {UNITS[-1]}"


def slots(amounts: dict[str, Any] | None) -> str:
    """Render a slot map of the API in one line, memory with units."""
    return ", ".join(
        f"{name} {size(int(amount)) if 'mem' in name else amount}"
        for name, amount in (amounts or {}).items()
    )
