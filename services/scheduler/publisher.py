"""Publishes the desired state of the nodes: what the log says, brought into the bucket.

Only what is durable is published. What could not be written is tried again until it could; the
newest wish for a kernel counts. At the start and after a reconnect the whole bucket is compared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from services.scheduler.books import Books
from services.scheduler.domain.session import Kernel, Session
from services.scheduler.specs import SpecMaker
from shared.contracts.base import Event, Sealed
from shared.contracts.kernels import KernelPresence, KernelSpec
from shared.contracts.scheduler import (
    KernelTerminated,
    SessionRestarted,
    SessionRestarting,
    SessionScheduled,
    SessionTerminating,
)
from shared.contracts.subjects import desired_key
from shared.eventlog.outcomes import LogUnavailable
from shared.messaging.desired import DesiredState, DesiredUnavailable
from shared.messaging.desired_writer import DesiredLost, DesiredWriter
from shared.observability.health import Check
from shared.observability.logging import get_logger
from shared.security.sealing import SealBroken

log = get_logger(__name__)

AT_ONCE: Final = 256
UNHEALTHY_LAG: Final = 1000
PAUSE_MAX_S: Final = 5.0
# what changes the wish for every live kernel of a session
_TURNS: Final = (SessionScheduled, SessionRestarting, SessionRestarted, SessionTerminating)

Key = tuple[str, str]


class Wish(NamedTuple):
    """A spec to put, and whose environment goes with it."""

    spec: KernelSpec
    user_id: str
    environ: Sealed | None


class Publisher:
    """Brings wishes into the bucket, one after the other for each kernel.

    `confirm` is asked before the bucket is taken: who does not lead any more must not say what
    nodes shall do. `broken` is told of a kernel whose environment does not open: it can't be
    started. `lost` is called when the bucket turns out to be a new one, or taken by another, and
    shall have everything compared.
    """

    def __init__(
        self,
        desired: DesiredState,
        writer: DesiredWriter,
        specs: SpecMaker,
        *,
        confirm: Callable[[], Awaitable[None]],
        broken: Callable[[KernelSpec], None],
        lost: Callable[[], None],
    ) -> None:
        self._desired = desired
        self._writer = writer
        self._specs = specs
        self._confirm_leading = confirm
        self._broken = broken
        self._lost = lost
        self._wishes: dict[Key, Wish | None] = {}
        self._strays: set[Key] = set()
        self._compare_with: dict[Key, Wish] | None = None
        self._put_since: set[str] = set()  # what was put since a comparison was asked for
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many kernels' desired state isn't in the bucket yet."""
        return len(self._wishes) + (self._compare_with is not None)

    def check(self) -> Check:
        """Answer for health: how much of the desired state has not reached the bucket."""
        return Check(state="ok" if self.waiting <= UNHEALTHY_LAG else "degraded", lag=self.waiting)

    def committed(self, books: Books, events: Iterable[Event]) -> None:
        """Take over what a commit has made true; the books must be as of that commit."""
        for event in events:
            if isinstance(event, _TURNS):
                session = books.sessions.get(event.session_id)
                if session is not None:
                    self._want(session)
            elif isinstance(event, KernelTerminated):
                self._wishes[event.agent_id, event.kernel_id] = None
        self._wake.set()

    def compare_all(self, books: Books) -> None:
        """Have the whole bucket compared with the books as they are now."""
        wanted: dict[Key, Wish] = {}
        for session, kernel in books.placed():
            if kernel.place is not None:
                wanted[kernel.place.agent_id, kernel.kernel_id] = self._wish(session, kernel)
        self._strays.clear()
        self._put_since.clear()
        self._compare_with = wanted
        self._wake.set()

    def repeat(self, books: Books, agent_id: str, kernel_ids: Sequence[str]) -> None:
        """Put again what a node seems not to have heard of."""
        for session, kernel in books.kernels_on(agent_id):
            if kernel.kernel_id in kernel_ids:
                self._wishes[agent_id, kernel.kernel_id] = self._wish(session, kernel)
        self._wake.set()

    def strays(self, agent_id: str, incarnation: str, found: Sequence[KernelPresence]) -> None:
        """Have kernels stopped that nobody booked, and forget the orders that were carried out."""
        now = {(agent_id, stray.kernel_id) for stray in found}
        for key in [key for key in self._strays if key[0] == agent_id and key not in now]:
            self._strays.discard(key)
            self._wishes.setdefault(key, None)
        for stray in found:
            key = (agent_id, stray.kernel_id)
            if key not in self._strays:
                log.warning("stray_kernel", agent_id=agent_id, kernel_id=stray.kernel_id)
                self._strays.add(key)
                order = self._specs.stop_stray(stray, incarnation)
                self._wishes[key] = Wish(order, "", None)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; raises StaleEpoch when another leader has taken over."""
        pause_s = 0.1
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if not self._writer.has_taken:
                    await self._writer.take(self._confirm_leading)
                await self._compare()
                await self._write()
                pause_s = 0.1
            except DesiredLost as problem:
                log.warning("desired_bucket_lost", problem=str(problem), waiting=self.waiting)
                self._lost()
            except (DesiredUnavailable, LogUnavailable) as problem:
                log.warning("desired_state_waits", problem=str(problem), waiting=self.waiting)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)
                self._wake.set()

    def _want(self, session: Session) -> None:
        for kernel in session.kernels:
            if kernel.is_live and kernel.place is not None:
                self._wishes[kernel.place.agent_id, kernel.kernel_id] = self._wish(session, kernel)

    def _wish(self, session: Session, kernel: Kernel) -> Wish:
        request = session.request
        return Wish(self._specs.spec(session, kernel), request.user_id, request.environ)

    async def _compare(self) -> None:
        request = self._compare_with
        if request is None:
            return
        wanted = dict(request)
        found = await self._desired.all()
        named = {desired_key(*key): key for key in wanted}
        unwanted: list[str] = []
        for name, spec in found.items():
            key = named.get(name)
            if key is None:
                # a comparison that is tried again may be older than what was put meanwhile
                if name not in self._put_since:
                    unwanted.append(name)
            elif _says_the_same(spec, wanted[key].spec):
                del wanted[key]
        for start in range(0, len(unwanted), AT_ONCE):
            await self._writer.remove_keys(unwanted[start : start + AT_ONCE])
        for key, wish in wanted.items():
            # what a commit wished meanwhile is newer
            self._wishes.setdefault(key, wish)
        await self._write()
        # only now may nodes take what is absent for unwanted
        await self._writer.mark_complete()
        if self._compare_with is request:
            self._compare_with = None

    async def _write(self) -> None:
        """Write until nothing is wished for."""
        while self._wishes:
            taken = {key: self._wishes[key] for key in list(self._wishes)[:AT_ONCE]}
            if self._compare_with is not None:
                self._put_since.update(desired_key(*key) for key in taken)
            await self._writer.bring(self._specs_of(taken))
            for key, wish in taken.items():
                # a commit may have wished for something newer meanwhile
                if self._wishes.get(key) is wish:
                    self._wishes.pop(key, None)

    def _specs_of(self, wishes: dict[Key, Wish | None]) -> dict[Key, KernelSpec | None]:
        """Return what to write; a kernel whose environment does not open is given up instead."""
        specs: dict[Key, KernelSpec | None] = {}
        for key, wish in wishes.items():
            if wish is None:
                specs[key] = None
                continue
            try:
                specs[key] = self._specs.with_environ(wish.spec, key[0], wish.user_id, wish.environ)
            except SealBroken:
                log.exception("environ_does_not_open", session_id=wish.spec.session_id)
                del self._wishes[key]
                self._broken(wish.spec)
        return specs


def _says_the_same(found: KernelSpec, wanted: KernelSpec) -> bool:
    """Tell whether a spec needs no replacing; its epoch and its sealing don't matter."""
    return (
        found.attempt == wanted.attempt
        and found.incarnation == wanted.incarnation
        and found.goal == wanted.goal
        and found.forced == wanted.forced
        and found.grace_s == wanted.grace_s
    )
