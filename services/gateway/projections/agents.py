"""The read model of the agents service: agents, images, and which agent has which image."""

from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg

from services.gateway.documents.agents import AgentDocument, ImageDocument
from services.gateway.projections.machines import (
    AGENTS,
    IMAGES,
    advance_agent,
    connected,
    image_discovered,
)
from shared.contracts.agents import (
    AgentConnected,
    AgentEvent,
    AgentProfileChanged,
    ImageDiscovered,
)
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables

_INSTALLS: Final = (
    "create table {} (agent_id text, image_id text, primary key (agent_id, image_id))"
)


class AgentsProjection:
    """Folds the agents service's events."""

    name = "agents"
    version = 1
    sources = ("agents",)
    tables = ("agents", "images", "image_installs")

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        await AGENTS.create(tx, tables("agents"), nullable=frozenset({"lost_at"}))
        await IMAGES.create(tx, tables("images"), indexes=("canonical, id",))
        await tx.execute(_INSTALLS.format(tables("image_installs")))
        await tx.execute(f"create index on {tables('image_installs')} (image_id)")

    async def apply(
        self,
        tx: asyncpg.Connection,
        tables: Tables,
        source: str,  # noqa: ARG002  # the only source
        events: Sequence[Recorded],
    ) -> None:
        """Apply events of the agents service, in order."""
        touched = [item.event.agent_id for item in events if isinstance(item.event, AgentEvent)]
        found = [item.event.key() for item in events if isinstance(item.event, ImageDiscovered)]
        agents = await AGENTS.load(tx, tables("agents"), touched)
        images = await IMAGES.load(tx, tables("images"), found)
        profiled: set[str] = set()
        for recorded in events:
            event, at = recorded.event, recorded.recorded_at
            if isinstance(event, AgentConnected):
                agents[event.agent_id] = connected(event, agents.get(event.agent_id), at)
            elif isinstance(event, AgentEvent):
                agents[event.agent_id] = advance_agent(agents[event.agent_id], event, at)
            elif isinstance(event, ImageDiscovered):
                images[event.key()] = image_discovered(event, images.get(event.key()), at)
            if isinstance(event, AgentConnected | AgentProfileChanged):
                profiled.add(event.agent_id)
        await AGENTS.save(tx, tables("agents"), agents)
        changed = await _install(tx, tables, [agents[agent_id] for agent_id in sorted(profiled)])
        await _save_images(tx, tables, images, changed)


async def _install(tx: asyncpg.Connection, tables: Tables, agents: list[AgentDocument]) -> set[str]:
    """Write down which images these agents have; returns the images that this may change."""
    if not agents:
        return set()
    installs = tables("image_installs")
    gone = await tx.fetch(
        f"delete from {installs} where agent_id = any($1::text[]) returning image_id",  # noqa: S608  # a name of our own code
        [agent.id for agent in agents],
    )
    pairs = sorted(
        {
            (agent.id, f"{canonical}/{agent.architecture}")
            for agent in agents
            for canonical in agent.installed_images
        }
    )
    await tx.execute(
        f"insert into {installs} (agent_id, image_id)"  # noqa: S608  # as above
        " select * from unnest($1::text[], $2::text[])",
        [agent_id for agent_id, _ in pairs],
        [image_id for _, image_id in pairs],
    )
    return {row[0] for row in gone} | {image_id for _, image_id in pairs}


async def _save_images(
    tx: asyncpg.Connection, tables: Tables, images: dict[str, ImageDocument], changed: Iterable[str]
) -> None:
    others = await IMAGES.load(tx, tables("images"), set(changed) - images.keys())
    images = {**others, **images}
    if not images:
        return
    rows = await tx.fetch(
        "select image_id, array_agg(agent_id order by agent_id) as agents"  # noqa: S608  # as above
        f" from {tables('image_installs')} where image_id = any($1::text[]) group by image_id",
        list(images),
    )
    installed = {row["image_id"]: list(row["agents"]) for row in rows}
    for image_id, image in images.items():
        image.installed_on = installed.get(image_id, [])
        image.status = "available" if image.installed_on else "unavailable"
    await IMAGES.save(tx, tables("images"), images)
