"""`qm session run`."""

import secrets
import shlex
from pathlib import PurePath
from typing import Any, Final

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.session_list import explain
from services.gateway.cli.commands.session_logs import print_log
from services.gateway.cli.commands.session_simulation import tell_adjustments, tell_simulation
from services.gateway.cli.commands.waiting import wait_for_end
from services.gateway.cli.output import print_json
from services.gateway.cli.settings import CliError, json_option

WITHOUT_PRESET: Final = {"cpu": "1", "mem": "256m"}
NEVER_SEEN_EXIT_CODE: Final = 125


def pairs(_: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Turn repeated `NAME=VALUE` into a map."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"'{text}' is not NAME=VALUE", param=parameter)
        found[name] = value
    return found


@click.command(context_settings={"ignore_unknown_options": False})
@click.option("--name", help="Unique among your live sessions; made from the command when absent.")
@click.option("--image", default="local/host:latest", show_default=True)
@click.option("--group", "resource_group", help="The default one when absent, if it takes it.")
@click.option("--project", help="On whose account; your default project when absent.")
@click.option("--preset", help="What each kernel asks for, by name; see 'qm preset available'.")
@click.option("--cpu", help="Cores for each kernel; 1 without a preset.")
@click.option("--mem", help="Memory for each kernel; 256m without a preset.")
@click.option("--resource", multiple=True, callback=pairs, help="Another slot, SLOT=AMOUNT.")
@click.option("--env", multiple=True, callback=pairs, metavar="NAME=VALUE")
@click.option(
    "--type",
    "session_type",
    type=click.Choice(["batch", "interactive", "inference"]),
    default="batch",
    show_default=True,
)
@click.option("--priority", type=click.IntRange(0, 100), help="Higher goes first.")
@click.option("--starts-at", metavar="TIME", help="Not before, such as 2026-01-31T23:59:59Z.")
@click.option(
    "--depends-on",
    multiple=True,
    metavar="SESSION",
    help="One of your sessions that must end well first, by name or id; may be repeated.",
)
@click.option("--shared-memory", metavar="SIZE", help="A part of the memory, such as 64m.")
@click.option(
    "--agent",
    "designated_agents",
    multiple=True,
    metavar="AGENT",
    help="Only on this agent; may be repeated. For administrators.",
)
@click.option("--strict", is_flag=True, help="Refuse less than the image needs; never raise it.")
@click.option("--count", type=click.IntRange(1, 1000), default=1, help="Submit this many alike.")
@click.option("--dry-run", is_flag=True, help="Only tell what would happen; submit nothing.")
@click.option("--follow", is_flag=True, help="Print what it writes until it is over.")
@click.option("--wait", is_flag=True, help="Wait for its end; leave with its exit code.")
@json_option
@click.argument("command", nargs=-1)
@click.pass_context
def run(
    ctx: click.Context,
    /,
    *,
    command: tuple[str, ...],
    count: int,
    follow: bool,
    wait: bool,
    **given: Any,
) -> None:
    """Submit a session that runs COMMAND (put `--` before it).

    With --follow or --wait, leaves with the session's exit code; 125 when nobody saw one. Ctrl-C
    then only stops watching: the session goes on.
    """
    cli = cli_of(ctx)
    if given["session_type"] == "batch" and not command:
        raise click.UsageError("a batch session needs a COMMAND: qm session run -- COMMAND …")
    if given["dry_run"] and (follow or wait):
        raise click.UsageError("--dry-run submits nothing that could be followed or waited for")
    if (follow or wait) and count > 1:
        raise click.UsageError("--follow and --wait watch one session; leave --count out")
    body = _body(command, count, given)
    with connect(cli) as api:
        if given["dry_run"]:
            tell_simulation(api.post("/v1/sessions/simulate", body), as_json=cli.as_json)
            return
        made = api.post("/v1/sessions", body)
        created = _created(api, made)
        if not (follow or wait):
            _tell(created, made, as_json=cli.as_json)
            return
        if not cli.as_json:
            click.echo(f"{created[0]['name']}: submitted ({created[0]['id']})", err=True)
            tell_adjustments(created[0]["adjustments"])
        try:
            ctx.exit(_watch(api, created[0], follow=follow, as_json=cli.as_json))
        except KeyboardInterrupt:
            again = f"qm session logs -f {shlex.quote(created[0]['name'])}"
            click.echo(f"\nThe session goes on; watch it again with: {again}", err=True)
            raise


def _body(command: tuple[str, ...], count: int, given: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": given["name"] or _name(command, given["session_type"]),
        "type": given["session_type"],
        "image": given["image"],
        "resource_group": given["resource_group"],
        "resources": _resources(given),
    }
    optional = {
        "project": given["project"],
        "preset": given["preset"],
        "priority": given["priority"],
        "environ": given["env"],
        "command": list(command),
        "starts_at": given["starts_at"],
        "depends_on": list(given["depends_on"]),
        "shared_memory": given["shared_memory"],
        "designated_agents": list(given["designated_agents"]),
        "strict": given["strict"] or None,
    }
    body |= {name: value for name, value in optional.items() if value not in (None, {}, [])}
    return body | ({"count": count} if count > 1 else {})


def _resources(given: dict[str, Any]) -> dict[str, str]:
    """Return what is asked for besides a preset, or instead of one."""
    found: dict[str, str] = {} if given["preset"] else dict(WITHOUT_PRESET)
    found |= {slot: given[slot] for slot in WITHOUT_PRESET if given[slot] is not None}
    found |= given["resource"]
    return found


def _name(command: tuple[str, ...], session_type: str) -> str:
    stem = PurePath(command[0]).name if command else session_type
    kept = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)
    return f"{kept.strip('-')[:40] or session_type}-{secrets.token_hex(3)}"


def _created(api: Api, made: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the new sessions, also when the gateway could not show them yet (202)."""
    if "task_id" not in made:
        items: list[dict[str, Any]] = made.get("items", [made])
        return items
    api.finish(str(made["task_id"]))
    return [api.get(f"/v1/sessions/{session_id}") for session_id in made["session_ids"]]


def _tell(created: list[dict[str, Any]], made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    for item in created:
        click.echo(f"{item['name']}: {item.get('status', 'PENDING')} ({item['id']})")
    tell_adjustments(created[0]["adjustments"])
    if len(created) == 1:
        name = shlex.quote(created[0]["name"])
        click.echo(f"See it with: qm session logs -f {name}", err=True)


def _watch(api: Api, made: dict[str, Any], *, follow: bool, as_json: bool) -> int:
    if follow:
        print_log(api, made["id"], follow=True)
    ended = wait_for_end(api, made["id"])
    if as_json:
        print_json(ended)
    else:
        click.echo(f"{ended['name']}: {ended['status']} ({explain(ended)})", err=True)
    return exit_code(ended)


def exit_code(ended: dict[str, Any]) -> int:
    """Return the exit code that stands for how a session ended, as a shell would give it."""
    code = ended.get("exit_code")
    if code is None:
        return NEVER_SEEN_EXIT_CODE
    if not isinstance(code, int):
        raise CliError(f"the gateway gave '{code}' as an exit code")
    return 128 - code if code < 0 else code
