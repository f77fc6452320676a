"""`qm log`: the event log of this machine's installation."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from services.gateway.cli.api import cli_of
from services.gateway.cli.installation import connections, data_option
from services.gateway.cli.output import print_json, print_table
from services.gateway.cli.settings import CliError, json_option

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from shared.contracts.base import ServiceName


@click.group()
def log() -> None:
    """Check this machine's event log."""


@log.command()
@data_option
@json_option
@click.pass_context
def verify(ctx: click.Context, /, *, data: str) -> None:
    """Prove that no event was altered or lost, in Postgres and in the stream.

    Walks every service's hash chain and compares the stream with the log, event by event. Leaves
    with 1 when something is wrong. A stream that is behind is not: it catches up by itself.
    """
    found = asyncio.run(_verify(connections(data)))
    if cli_of(ctx).as_json:
        print_json({"items": found})
    else:
        print_table(
            ("log", "events", "chain", "stream", "behind", "head"),
            [
                (
                    item["service"],
                    item["events"],
                    item["chain"],
                    item["stream"],
                    item["behind"],
                    item["head_hash"][:16],
                )
                for item in found
            ],
        )
    wrong = [item["service"] for item in found if {item["chain"], item["stream"]} != {"ok"}]
    if wrong:
        raise CliError(f"not what was appended: {', '.join(wrong)}")


async def _verify(addresses: dict[str, str]) -> list[dict[str, Any]]:
    # Only this command needs the drivers; importing them takes longer than most commands run.
    from shared.contracts.base import LOG_SERVICES  # noqa: PLC0415
    from shared.eventlog.outcomes import LogUnavailable  # noqa: PLC0415
    from shared.messaging.connection import close, connect  # noqa: PLC0415

    try:
        client = await asyncio.wait_for(connect(addresses["nats_url"], "qm"), timeout=5)
    except (OSError, TimeoutError) as error:
        raise CliError("NATS does not answer; is the installation running? ('qm up')") from error
    try:
        return [
            await _one(service, addresses["database_url"], client.jetstream())
            for service in LOG_SERVICES
        ]
    except LogUnavailable as error:
        raise CliError(f"Postgres does not answer: {error}") from error
    finally:
        await close(client)


async def _one(service: "ServiceName", database_url: str, js: "JetStreamContext") -> dict[str, Any]:
    from shared.eventlog.codecs import codec_for  # noqa: PLC0415  # as above
    from shared.eventlog.log import EventLog  # noqa: PLC0415  # as above
    from shared.eventlog.pool import open_pool, reaching_postgres  # noqa: PLC0415  # as above
    from shared.eventlog.verify import verify_stream  # noqa: PLC0415  # as above

    with reaching_postgres():
        pool = await open_pool(database_url, name="qm", schema=service, max_size=2)
    async with pool:
        events = EventLog(pool, codec_for(service))
        chain, stream = await events.verify(), await verify_stream(events, js)
    return {
        "service": service,
        "events": chain.events,
        "head": chain.head,
        "head_hash": chain.head_hash,
        "chain": _said(chain.damage),
        "stream": _said(stream.damage),
        "behind": stream.behind,
    }


def _said(damage: Any) -> str:
    return "ok" if damage is None else f"at {damage.position}: {damage.what}"
