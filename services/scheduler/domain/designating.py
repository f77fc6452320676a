"""Agents that a request designates: they must be there, of its group, and alive."""

from collections.abc import Callable, Iterator
from typing import Final

from services.scheduler.placement.model import Agent
from shared.contracts.scheduler import EnqueueSession
from shared.kernel.rejections import FieldError

AGENTS_MAX: Final = 1_000
FIELD: Final = "designated_agents"


def designation_errors(
    command: EnqueueSession, find: Callable[[str], Agent | None], architecture: str | None
) -> Iterator[FieldError]:
    """Yield what is wrong with the designated agents.

    One that takes no new sessions now may well be meant: the session waits for it. `architecture`
    is the image's for them; None when none of them has it.
    """
    wanted = dict.fromkeys(command.designated_agents)
    if len(wanted) > AGENTS_MAX:
        yield FieldError(FIELD, "too_many", f"At most {AGENTS_MAX} agents can be designated.")
        return
    sound: list[Agent] = []
    for agent_id in wanted:
        agent = find(agent_id)
        name = agent_id[:64]
        if agent is None or agent.gone or agent.group != command.resource_group:
            message = f"There is no agent '{name}' in the resource group."
            yield FieldError(FIELD, "agent_not_found", message)
        elif not agent.alive:
            message = f"The agent {name} is not alive: choose another one, or wait for it."
            yield FieldError(FIELD, "agent_not_alive", message)
        else:
            sound.append(agent)
    has_image = any(
        agent.architecture == architecture
        and (agent.images is None or command.image in agent.images)
        for agent in sound
    )
    if sound and len(sound) == len(wanted) and architecture is not None and not has_image:
        message = f"None of the designated agents offers the image '{command.image[:128]}'."
        yield FieldError(FIELD, "image_not_offered", message)
