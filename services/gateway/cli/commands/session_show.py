"""`qm session show`."""

from typing import Any

import click

from services.gateway.cli.api import cli_of, connect
from services.gateway.cli.commands.finding import find_session
from services.gateway.cli.commands.session_list import explain
from services.gateway.cli.output import (
    between,
    print_fields,
    print_json,
    print_table,
    size,
    slots,
    when,
)
from services.gateway.cli.settings import json_option

CHECKS = {
    "session_lifetime": "lifetime",
    "network_timeout": "unused",
    "utilization": "little use",
}


@click.command()
@click.argument("session")
@json_option
@click.pass_context
def show(ctx: click.Context, *, session: str) -> None:
    """Show everything about SESSION (a name or an id)."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        found = find_session(api, session)
    if cli.as_json:
        print_json(found)
        return
    position = found.get("position")
    print_fields(
        [
            ("id", found.get("id")),
            ("name", found.get("name")),
            ("status", found.get("status")),
            ("why", explain(found)),
            *([("position", f"#{position}")] if position else []),
            *_estimate(found),
            *_deadlines(found),
            *_checks(found),
            ("type", found.get("type")),
            ("image", found.get("image")),
            ("command", command_line(found)),
            ("resource group", found.get("resource_group")),
            ("resources", slots(found.get("resources"))),
            *_wishes(found),
            ("agents", ", ".join(found.get("agents") or [])),
            ("result", found.get("result")),
            ("exit code", found.get("exit_code")),
        ]
    )
    history = steps(found.get("status_history"))
    if history:
        click.echo()
        print_table(("status", "at"), [(status, when(at)) for status, at in history])


def steps(history: Any) -> list[tuple[str, str]]:
    """Return a status history, a map or a list, as pairs of status and time."""
    if isinstance(history, dict):
        # a restart comes by statuses again: the last time is told
        found = [(str(status), str(at)) for status, at in history.items()]
        return sorted(found, key=lambda step: step[1])
    return [(str(step["status"]), str(step["at"])) for step in history or []]


def command_line(found: dict[str, Any]) -> str:
    """Return the session's command as one would type it."""
    import shlex  # noqa: PLC0415  # only this command needs it

    command = found.get("command")
    return shlex.join(command) if isinstance(command, list) else str(command or "")


def _estimate(found: dict[str, Any]) -> list[tuple[str, object]]:
    estimate = found.get("estimated_start")
    return [("estimated start", between(estimate))] if estimate else []


def _wishes(found: dict[str, Any]) -> list[tuple[str, object]]:
    """Return what was raised, and what the session asks for beside its resources."""
    told: list[tuple[str, object]] = [("raised", one["text"]) for one in found["adjustments"]]
    if found["shared_memory"]:
        told.append(("shared memory", size(found["shared_memory"])))
    if found["designated_agents"]:
        told.append(("only on", ", ".join(found["designated_agents"])))
    return told


def _deadlines(found: dict[str, Any]) -> list[tuple[str, object]]:
    told = [("starts at", "starts_at"), ("runs until", "expires_at")]
    times: list[tuple[str, object]] = [
        (title, when(found[name])) for title, name in told if found.get(name)
    ]
    others = found.get("depends_on")
    return [*times, ("depends on", ", ".join(others))] if others else times


def _checks(found: dict[str, Any]) -> list[tuple[str, object]]:
    """Return what may end the session by itself, and how far off that is."""
    checks = found.get("idle_checks")
    if checks is None and found.get("status") == "RUNNING":
        return [("ends by itself", "not known, the scheduler does not answer")]
    return [(CHECKS.get(one["check"], one["check"]), _outlook(one)) for one in checks or ()]


def _outlook(check: dict[str, Any]) -> str:
    detail = check["detail"]
    use = [
        f"{name} {detail['measured_percent'][name]:g} % (at least {least} %)"
        for name, least in detail["thresholds_percent"].items()
        if name in detail["measured_percent"]
    ]
    if check["ends_at"] is not None:
        said = f"ends in {check['remaining_s']} s, at {when(check['ends_at'])}"
    elif detail["judged_from"] is None:
        said = "not measured yet"
    else:
        said = "does not end as things are"
    return ", ".join([said, *use])
