"""What the scheduler knows of agents and images: a replica of the agents service's events."""

from collections.abc import Collection
from typing import Final

from services.scheduler.domain.raising import ImageNeeds
from services.scheduler.placement.model import Agent, Device, Shape
from services.scheduler.placement.reasons import Impossible, never_fits
from shared.contracts.agents import (
    AgentConnected,
    AgentLost,
    AgentProfile,
    AgentProfileChanged,
    AgentRevived,
    AgentSchedulableSet,
    AgentTerminated,
    ImageDiscovered,
)
from shared.contracts.base import Event
from shared.kernel.image_labels import shared_memory_of

# these run only what the host has; any other runtime can fetch an image, unless none shall be
RUNTIMES_WITHOUT_PULL: Final = frozenset({"process"})

REMEMBERED_MAX: Final = 10_000


class AgentsView:
    """Agents as placement sees them, what incarnations are over, and who offers which image."""

    def __init__(self) -> None:
        self.agents: dict[str, Agent] = {}
        self.superseded: dict[str, set[str]] = {}
        self._offered: dict[str, tuple[str, ...]] = {}
        self._images: dict[str, dict[str, ImageNeeds]] = {}
        self._digests: dict[tuple[str, str], str] = {}
        self._fetchers: set[str] = set()
        self._may_fetch = True
        self._schedulable: dict[str, bool] = {}
        self._architectures: dict[tuple[str, str, tuple[str, ...]], str | None] = {}
        self._verdicts: dict[tuple[str, Shape, int | None], Impossible | None] = {}
        self._slots: dict[str, frozenset[str]] = {}

    def apply(self, event: Event) -> str | None:
        """Take in the next event; return the id of the agent that it changed, if any."""
        self._architectures.clear()
        self._verdicts.clear()
        self._slots.clear()
        match event:
            case AgentConnected() | AgentProfileChanged():
                return self._profile(event.agent_id, event.incarnation, event.profile)
            case AgentRevived():
                return self._live(event.agent_id, alive=True)
            case AgentLost():
                return self._live(event.agent_id, alive=False)
            case AgentTerminated():
                return self._live(event.agent_id, alive=False, gone=event.reason == "stopped")
            case AgentSchedulableSet():
                return self._allow(event.agent_id, schedulable=event.schedulable)
            case ImageDiscovered():
                needs = ImageNeeds(event.minimum, shared_memory_of(event.labels))
                self._images.setdefault(event.canonical, {})[event.architecture] = needs
                self._digests[event.canonical, event.architecture] = event.digest
        return None

    def let_fetch(self, *, allowed: bool) -> tuple[Agent, ...]:
        """Take note whether nodes fetch images at all; return the agents that it changes."""
        if allowed == self._may_fetch:
            return ()
        self._may_fetch = allowed
        self._verdicts.clear()
        for agent_id in self._fetchers:
            agent = self.agents[agent_id]
            self.agents[agent_id] = agent._replace(images=self._images_at(agent_id))
        return tuple(self.agents[agent_id] for agent_id in sorted(self._fetchers))

    def digest_for(self, agent_id: str, image: str) -> str:
        """Return what an image shall be on an agent, "" where that is not known."""
        agent = self.agents.get(agent_id)
        return "" if agent is None else self._digests.get((image, agent.architecture), "")

    def architecture_of(
        self, image: str, group: str, designated: tuple[str, ...] = ()
    ) -> str | None:
        """Return for which architecture an image is had, one of the group's agents' if possible.

        Of the agents that are `designated` one's, if there are any. None when nobody offers the
        image. Of several the first by name counts.
        """
        key = (image, group, designated)
        if key in self._architectures:
            return self._architectures[key]
        if len(self._architectures) >= REMEMBERED_MAX:
            self._architectures.clear()
        found = self._architectures[key] = self._find_architecture(image, group, designated)
        return found

    def needs_of(self, image: str, group: str, designated: tuple[str, ...] = ()) -> ImageNeeds:
        """Return what each kernel of an image gets at least, where it would run."""
        architecture = self.architecture_of(image, group, designated)
        return self._images.get(image, {}).get(architecture or "", ImageNeeds())

    def slots_in(self, group: str) -> frozenset[str]:
        """Return the slots that agents of a group have."""
        found = self._slots.get(group)
        if found is None:
            agents = (agent for agent in self.agents.values() if agent.group == group)
            found = frozenset(
                slot
                for agent in agents
                if not agent.gone
                for slot, amount in agent.capacity.items()
                if amount
            )
            self._slots[group] = found
        return found

    def groups_of(self, agent_ids: Collection[str]) -> frozenset[str]:
        """Return the groups of agents, as far as they are known."""
        known = (self.agents.get(agent_id) for agent_id in agent_ids)
        return frozenset(agent.group for agent in known if agent is not None)

    def impossible(
        self, group: str, shape: Shape, max_containers: int | None = None
    ) -> Impossible | None:
        """Tell why a group's agents could never hold a shape; None if they could.

        `max_containers` is how many kernels an agent may have, None any number.
        """
        key = (group, shape, max_containers)
        if key in self._verdicts:
            return self._verdicts[key]
        if len(self._verdicts) >= REMEMBERED_MAX:
            self._verdicts.clear()
        verdict = self._verdicts[key] = never_fits(
            self.agents.values(), group, shape, max_containers
        )
        return verdict

    def _find_architecture(self, image: str, group: str, designated: tuple[str, ...]) -> str | None:
        everywhere = set(self._images.get(image, ()))
        here: set[str] = set()
        for agent_id, images in self._offered.items():
            if image in images:
                agent = self.agents[agent_id]
                everywhere.add(agent.architecture)
                if _is_meant(agent, group, designated):
                    here.add(agent.architecture)
        if not here:
            here = everywhere & {
                agent.architecture
                for agent in self.agents.values()
                if _is_meant(agent, group, designated)
            }
        return min(here or everywhere, default=None)

    def is_alive(self, agent_id: str) -> bool:
        """Tell whether an agent is known and beats."""
        agent = self.agents.get(agent_id)
        return agent is not None and agent.alive

    def is_known(self, agent_id: str, incarnation: str) -> bool:
        """Tell whether sessions can be placed on this incarnation of an agent."""
        agent = self.agents.get(agent_id)
        return agent is not None and agent.alive and agent.incarnation == incarnation

    def is_over(self, agent_id: str, incarnation: str) -> bool:
        """Tell whether a later incarnation of the agent has taken the place of this one."""
        return incarnation in self.superseded.get(agent_id, ())

    def _profile(self, agent_id: str, incarnation: str, profile: AgentProfile) -> str:
        known = self.agents.get(agent_id)
        if known is not None and known.incarnation != incarnation:
            self.superseded.setdefault(agent_id, set()).add(known.incarnation)
        self._offered[agent_id] = profile.images
        if profile.runtime in RUNTIMES_WITHOUT_PULL:
            self._fetchers.discard(agent_id)
        else:
            self._fetchers.add(agent_id)
        self.agents[agent_id] = Agent(
            agent_id=agent_id,
            group=profile.resource_group,
            architecture=profile.architecture,
            capacity=profile.available_slots,
            devices=tuple(
                Device(device.device_id, device.slot, device.amount) for device in profile.devices
            ),
            images=self._images_at(agent_id),
            incarnation=incarnation,
            alive=True,
            schedulable=self._schedulable.get(agent_id, True),
            gone=False,
        )
        return agent_id

    def _images_at(self, agent_id: str) -> frozenset[str] | None:
        """Return the only images that can be had on an agent, None where any can."""
        if agent_id in self._fetchers and self._may_fetch:
            return None
        return frozenset(self._offered[agent_id])

    def _live(self, agent_id: str, *, alive: bool, gone: bool = False) -> str | None:
        agent = self.agents.get(agent_id)
        if agent is None:
            return None
        self.agents[agent_id] = agent._replace(alive=alive, gone=gone)
        return agent_id

    def _allow(self, agent_id: str, *, schedulable: bool) -> str | None:
        self._schedulable[agent_id] = schedulable
        agent = self.agents.get(agent_id)
        if agent is None:
            return None
        self.agents[agent_id] = agent._replace(schedulable=schedulable)
        return agent_id


def _is_meant(agent: Agent, group: str, designated: tuple[str, ...]) -> bool:
    return agent.group == group and (not designated or agent.agent_id in designated)
