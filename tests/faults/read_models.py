"""The gateway's read models as plain text, and how to make the installation forget them."""

import asyncio
import json

import asyncpg

from shared.eventlog.migrate import migrate


def told(installation):
    """Return how to reach the installation's database as its administrator."""
    return json.loads((installation.data / "secrets" / "connections.json").read_text())[
        "database_url"
    ]


async def read_all(url):
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "select table_name from information_schema.views where table_schema = 'gateway'"
        )
        return {
            name: [
                row[0]
                for row in await connection.fetch(
                    f"select v::text from gateway.{name} v order by v::text"
                )
                # a counter that is back at nothing says as much as one that never counted
                if not (name == "occupancy" and row[0].endswith(",0,0)"))
            ]
            for (name,) in names
        }
    finally:
        await connection.close()


async def drop_all(url):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("drop schema gateway cascade")
    finally:
        await connection.close()
    await migrate(url, ["gateway"])


def dump(installation):
    """Every row of every read model, by its name."""
    return asyncio.run(read_all(told(installation)))


def forget(installation):
    """Drop everything that the gateway has ever computed."""
    asyncio.run(drop_all(told(installation)))
