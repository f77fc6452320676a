"""`qm session statistics`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.session_narrowing import narrowed, narrowing
from services.gateway.cli.output import print_json, print_table, when
from services.gateway.cli.settings import json_option

AMOUNTS = ("sessions", "cpu hours", "gpu hours", "mem GiB hours")


@click.command()
@click.option("--from", "since", help="From this time on (RFC 3339); 30 days before --to.")
@click.option("--to", help="What is before this time (RFC 3339); now.")
@click.option("--status", multiple=True, help="Only these statuses (TERMINATED …).")
@narrowing
@json_option
@click.pass_context
def statistics(
    ctx: click.Context,
    /,
    *,
    since: str | None,
    to: str | None,
    status: tuple[str, ...],
    **given: Any,
) -> None:
    """Count sessions, tell how long they waited and ran, and what they held.

    A repeated option means any of its values.
    """
    cli = cli_of(ctx)
    with connect(cli) as api:
        query = narrowed(api, given) | {"from": since, "to": to}
        wanted = [one.upper() for one in status] or None
        found = api.get("/v1/sessions/statistics", status=wanted, **query)
    if cli.as_json:
        print_json(found)
        return
    _tell(found)


def _tell(found: dict[str, Any]) -> None:
    click.echo(f"{when(found['from'])} to {when(found['to'])}: {found['submitted']} submitted.")
    for title in ("status", "type", "result"):
        counts = found[f"by_{title}"]
        said = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        click.echo(f"{title.ljust(7)} {said or 'none'}")
    click.echo()
    print_table(
        ("", "sessions", "mean", "p50", "p95", "longest"),
        [
            _durations("waited", found["waiting"]),
            _durations("ran", found["running"]),
        ],
    )
    for title, key, name in (
        ("user", "users", "user_id"),
        ("resource group", "resource_groups", "resource_group"),
    ):
        click.echo()
        rows = [(one.get("email") or one[name], *_amounts(one)) for one in found[key]]
        print_table((title, *AMOUNTS), [*rows, ("all", *_amounts(found["use"]))])


def _durations(title: str, found: dict[str, Any]) -> tuple[object, ...]:
    return (title, found["count"], *(_length(found[name]) for name in _LENGTHS))


_LENGTHS = ("mean_s", "p50_s", "p95_s", "max_s")


def _length(seconds: float | None) -> str:
    """Render a length of time in its two largest units."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _amounts(use: dict[str, Any]) -> tuple[object, ...]:
    hours = (f"{use[name]:.2f}" for name in ("cpu_hours", "gpu_hours", "mem_gib_hours"))
    return (use["sessions"], *hours)
