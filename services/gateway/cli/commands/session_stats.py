"""`qm session stats`."""

from typing import Any, Final

import click

from services.gateway.cli.api import Api, cli_of, connect
from services.gateway.cli.commands.finding import TERMINAL, find_session
from services.gateway.cli.output import print_fields, print_json, print_table, size
from services.gateway.cli.settings import CliError, json_option

RECONNECTS: Final = 60
UNKNOWN: Final = "not measured"


@click.command()
@click.argument("session")
@click.option("-f", "--follow", is_flag=True, help="Go on until the session is over.")
@json_option
@click.pass_context
def stats(ctx: click.Context, *, session: str, follow: bool) -> None:
    """Show what SESSION (a name or an id) uses now, beside what it was given."""
    cli = cli_of(ctx)
    with connect(cli) as api:
        session_id = find_session(api, session)["id"]
        if follow:
            _follow(api, session_id, as_json=cli.as_json)
            return
        found = api.get(f"/v1/sessions/{session_id}/stats")
    if cli.as_json:
        print_json(found)
        return
    _tell(found)


def _follow(api: Api, session_id: str, *, as_json: bool) -> None:
    """Print a line for each measurement: the gateway tells when there is another one."""
    last: str | None = None
    topics = f"session:{session_id},stats:{session_id}"
    for _ in range(RECONNECTS):
        with api.stream("/live", "text/event-stream", topics=topics) as live:
            for line in live.iter_lines():
                if line:
                    continue
                found = api.get(f"/v1/sessions/{session_id}/stats")
                if found["status"] in TERMINAL:
                    click.echo(f"The session is over ({found['status']}).", err=True)
                    return
                if found["at"] is not None and found["at"] != last:
                    last = found["at"]
                    _line(found, as_json=as_json)
    raise CliError(f"the gateway ended the live stream {RECONNECTS} times; giving up")


def _line(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        import json  # noqa: PLC0415  # one object a line: for programs that read as it comes

        click.echo(json.dumps(found | {"history": []}, ensure_ascii=False))
        return
    devices = [f"{one['id']} {_percent(one['utilisation'])}" for one in found["devices"]]
    parts = [f"cpu {cpu_text(found['cpu'])}", f"mem {mem_text(found['mem'])}", *devices]
    click.echo(f"{found['at'][:19]}Z  {'  '.join(parts)}")


def _tell(found: dict[str, Any]) -> None:
    if found["why"] is not None:
        click.echo(found["why"]["message"])
        return
    print_fields(
        [
            ("status", found["status"]),
            ("at", found["at"]),
            ("cpu", cpu_text(found["cpu"])),
            ("memory", mem_text(found["mem"])),
            ("memory at most", _size(found["mem"]["peak"])),
            ("read", _size(found["io"]["read"])),
            ("written", _size(found["io"]["written"])),
            ("processes", UNKNOWN if found["pids"] is None else found["pids"]),
        ]
    )
    if found["devices"]:
        click.echo()
        columns = ("device", "slot", "agent", "given", "busy", "memory")
        print_table(columns, [_device(one) for one in found["devices"]])
    if len(found["kernels"]) > 1:
        click.echo()
        headings = ("kernel", "agent", "cpu", "memory", "processes")
        print_table(headings, [_kernel(one) for one in found["kernels"]])


def _device(one: dict[str, Any]) -> tuple[object, ...]:
    mem = f"{_size(one['mem_used'])} of {_size(one['mem_total'])}"
    busy = _percent(one["utilisation"])
    return one["id"], one["slot"], one["agent_id"], one["allotted"], busy, mem


def _kernel(one: dict[str, Any]) -> tuple[object, ...]:
    cpu, mem = cpu_text(one["cpu"]), mem_text(one["mem"])
    return one["hostname"], one["agent_id"], cpu, mem, one["pids"]


def cpu_text(cpu: dict[str, Any]) -> str:
    """Return how many processors are busy, of how many."""
    if cpu["used"] is None:
        return UNKNOWN
    return f"{cpu['used']:.2f} of {cpu['allotted'] or 0:g} ({_percent(cpu['percent'])})"


def mem_text(mem: dict[str, Any]) -> str:
    """Return how much memory is in use, of how much."""
    if mem["used"] is None:
        return UNKNOWN
    return f"{size(mem['used'])} of {_size(mem['allotted'])} ({_percent(mem['percent'])})"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f} %"


def _size(value: int | None) -> str:
    return UNKNOWN if value is None else size(value)
