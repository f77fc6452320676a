"""`qm what-if`: how long sessions would have waited under other options."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import click

from services.gateway.cli.api import Api, ApiError, cli_of, connect
from services.gateway.cli.commands.following import follow
from services.gateway.cli.commands.group_commands import group_path
from services.gateway.cli.output import print_json, print_table
from services.gateway.cli.parsing import moment
from services.gateway.cli.settings import CliError, json_option

USERS_SHOWN: Final = 10
COLUMNS: Final = ("recorded", "replayed", "what_if")
_AGENTS: Final = re.compile(r"(?P<sign>[+-])(?P<count>\d+)|x(?P<scale>\d+(\.\d+)?)")
_AGO: Final = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _agents(
    _: click.Context, parameter: click.Parameter, given: str | None
) -> dict[str, Any] | None:
    """Return what `+2`, `-1` or `x1.5` means for the number of agents."""
    if given is None:
        return None
    found = _AGENTS.fullmatch(given)
    if found is None:
        text = f"'{given}' is none of +2 (more), -1 (fewer) and x1.5 (times)"
        raise click.BadParameter(text, param=parameter)
    if found["scale"] is not None:
        return {"scale": float(found["scale"])}
    return {"add" if found["sign"] == "+" else "remove": int(found["count"])}


def _when(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Return a moment as the API takes it; `7d` is seven days ago."""
    ago = _AGO.fullmatch(given or "")
    if ago is None:
        return moment(context, parameter, given)
    span = timedelta(**{_UNITS[ago["unit"]]: int(ago["count"])})
    return (datetime.now(tz=UTC) - span).isoformat().replace("+00:00", "Z")


@click.command("what-if")
@click.argument("name", metavar="GROUP")
@click.option("--from", "since", metavar="WHEN", default="7d", show_default=True, callback=_when)
@click.option("--to", "until", metavar="WHEN", callback=_when, help="Now, unless given.")
@click.option("--scheduler", type=click.Choice(["fifo", "lifo", "drf"]))
@click.option("--retries-to-skip", type=click.IntRange(0, 1000), help="For FIFO; 0 is never.")
@click.option(
    "--agent-selection",
    type=click.Choice(["dispersed", "concentrated", "roundrobin", "legacy"]),
)
@click.option(
    "--agents", metavar="HOW MANY", callback=_agents, help="+2 (more), -1 (fewer) or x1.5 (times)."
)
@click.option("--task", "task_id", metavar="ID", help="Go on watching one that was begun before.")
@json_option
@click.pass_context
def what_if(ctx: click.Context, /, *, name: str, task_id: str | None, **given: Any) -> None:
    """Replay a period of GROUP's queue, and compare waiting times side by side.

    WHEN is a time such as 2026-01-31T09:00 or how long ago, such as 12h or 7d. Nothing is changed
    by it. Ctrl-C cancels what takes too long.
    """
    cli = cli_of(ctx)
    with connect(cli) as api:
        answered = (
            {"task_id": task_id}
            if task_id
            else api.post(f"{group_path(name)}/what-if", _body(given))
        )
        found = _followed(api, name, answered)
        if cli.as_json:
            print_json(found)
            return
        _tell(found)
        _tell_users(found, _names(api, found))
    for note in found["notes"]:
        click.echo(f"note: {note['message']}", err=True)


def _body(given: dict[str, Any]) -> dict[str, Any]:
    body = {
        "from": given["since"],
        "to": given["until"],
        "scheduler": given["scheduler"],
        "retries_to_skip": given["retries_to_skip"],
        "agent_selection_strategy": given["agent_selection"],
        "agents": given["agents"],
    }
    return {name: value for name, value in body.items() if value is not None}


def _followed(api: Api, name: str, answered: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison, when there is one; raises CliError when it was cancelled."""
    if "task_id" not in answered:
        return answered
    task_id = str(answered["task_id"])
    hint = f"This is task {task_id}; watch it with: qm what-if {name} --task {task_id}"
    task = follow(api, task_id, hint)
    if task["status"] != "done":
        raise CliError(f"it was {task['status']}")
    result: dict[str, Any] = task["result"]
    return result


def _tell(found: dict[str, Any]) -> None:
    three = [found[column] for column in COLUMNS]

    def row(label: str, *cells: object) -> tuple[object, ...]:
        return (label, *cells)

    def counts(label: str, field: str) -> tuple[object, ...]:
        return row(label, *(one[field] for one in three))

    def waits(label: str, field: str) -> tuple[object, ...]:
        return row(label, *(_span(one["waiting"], field) for one in three))

    agents = found["agents"]
    slots = dict.fromkeys(slot for one in three for slot in one["utilisation"])
    print_table(
        ("", "recorded", "replayed", "what if"),
        [
            row("agents", agents["recorded"], agents["recorded"], agents["what_if"]),
            counts("sessions", "sessions"),
            counts("started", "started"),
            counts("gave up waiting", "gave_up"),
            counts("still waiting", "still_waiting"),
            waits("mean wait", "mean_s"),
            waits("median wait", "p50_s"),
            waits("95 % wait at most", "p95_s"),
            waits("longest wait", "max_s"),
            row("fairness (Jain)", *(_number(one["fairness"]) for one in three)),
            *(
                row(f"{slot} in use", *(_percent(one["utilisation"].get(slot)) for one in three))
                for slot in slots
            ),
        ],
    )


def _tell_users(found: dict[str, Any], names: dict[str, str]) -> None:
    """Print how those fared who had the most sessions."""
    of_user = [{one["user_id"]: one for one in found[column]["users"]} for column in COLUMNS]
    shown = list(of_user[0])[:USERS_SHOWN]
    if not shown:
        return
    click.echo()
    print_table(
        ("user", "sessions", "mean wait: recorded", "replayed", "what if"),
        [
            (
                names[user_id],
                of_user[0][user_id]["sessions"],
                *(_span(users.get(user_id, {}).get("waiting"), "mean_s") for users in of_user),
            )
            for user_id in shown
        ],
    )
    total = found["recorded"]["users_total"]
    if total > len(shown):
        click.echo(f"… {len(shown)} of {total} users, those with the most sessions.", err=True)


def _names(api: Api, found: dict[str, Any]) -> dict[str, str]:
    """Return the user names of those who are printed; the id of who has none any more."""
    names: dict[str, str] = {}
    for one in found["recorded"]["users"][:USERS_SHOWN]:
        user_id = one["user_id"]
        try:
            user = api.get(f"/v1/users/{quote(user_id, safe='')}")
        except ApiError:
            user = {}
        names[user_id] = user.get("username") or user_id
    return names


def _span(times: dict[str, Any] | None, field: str) -> str:
    """Render seconds in the two largest units that matter."""
    if times is None:
        return ""
    seconds = float(times[field])
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(part: float | None) -> str:
    return "" if part is None else f"{100 * part:.1f} %"
