"""Where nodes differ from the books, as their last heartbeats tell, for who recalculates usage.

The correction is not made here: what is lost is given up, and what nobody booked is stopped, with
every heartbeat. A heartbeat and a report may have passed each other, so a kernel of a session that
is known, or was lately, is believed to be a difference only when two heartbeats in a row say so.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from services.scheduler.reconciling import Findings
from shared.contracts.agents import Heartbeat
from shared.contracts.scheduler import UsageDifference

BEATS_TO_BELIEVE: Final = 2


class NodeDifferences:
    """What is believed and what is suspected of each agent, as of its last heartbeat.

    What is lost is given up at once, so only those who watch at that moment are told of it.
    """

    def __init__(self) -> None:
        self._strays: dict[str, dict[str, int]] = {}
        self._suspected: set[str] = set()
        self._believed: dict[str, dict[str, UsageDifference]] = {}
        self._watchers: list[dict[str, UsageDifference]] = []
        self._news = asyncio.Event()

    def observe(self, beat: Heartbeat, found: Findings, is_known: Callable[[str], bool]) -> None:
        """Take in what a heartbeat was found to say; `is_known` tells of sessions, also ended."""
        agent_id = beat.agent_id
        before = self._strays.pop(agent_id, {})
        strays = {each.kernel_id: before.get(each.kernel_id, 0) + 1 for each in found.stray}
        believed = {
            each.kernel_id: UsageDifference(
                kind="kernel-not-booked",
                agent_id=agent_id,
                session_id=each.session_id,
                kernel_id=each.kernel_id,
                before=each.phase,
                after="stopping",
            )
            for each in found.stray
            if strays[each.kernel_id] >= BEATS_TO_BELIEVE or not is_known(each.session_id)
        }
        is_doubtful = bool(found.missing or strays.keys() - believed.keys())
        lost = {}
        for session_id, kernel_ids in found.lost.items():
            for kernel_id in kernel_ids:
                lost[kernel_id] = UsageDifference(
                    kind="kernel-not-there",
                    agent_id=agent_id,
                    session_id=session_id,
                    kernel_id=kernel_id,
                    before="booked",
                    after="given up",
                )
        self._keep(agent_id, strays, believed)
        for watcher in self._watchers:
            watcher.update(believed | lost)
        if is_doubtful:
            self._suspected.add(agent_id)
        else:
            self._suspected.discard(agent_id)
        self._news.set()

    @contextmanager
    def watched(self) -> Iterator[dict[str, UsageDifference]]:
        """Give what is believed, by kernel, growing for as long as this lasts."""
        found: dict[str, UsageDifference] = {}
        for believed in self._believed.values():
            found.update(believed)
        self._watchers.append(found)
        try:
            yield found
        finally:
            self._watchers.remove(found)

    async def settled(self, is_alive: Callable[[str], bool], timeout_s: float) -> None:
        """Wait until nothing is only suspected of agents that are there, for so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while any(is_alive(agent_id) for agent_id in self._suspected):
                    self._news.clear()
                    await self._news.wait()

    def _keep(
        self, agent_id: str, strays: dict[str, int], believed: dict[str, UsageDifference]
    ) -> None:
        if strays:
            self._strays[agent_id] = strays
        if believed:
            self._believed[agent_id] = believed
        else:
            self._believed.pop(agent_id, None)
