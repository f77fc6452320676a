"""A leader whose clock stands still until the test moves it."""

from datetime import timedelta

from services.scheduler.domain import session_rules
from services.scheduler.queue_view import page
from services.scheduler.writer import Decision
from shared.contracts.kernels import KernelReport
from shared.contracts.scheduler import GetPendingQueue, ResourceGroupChanged
from tests.scheduler.integration.leader import META, Running


class Timed(Running):
    """A leader whose clock stands still until the test moves it."""

    async def at(self, seconds):
        """Let so much time have passed since the start, and the writer look at the clock."""
        now = (self.clock.now() - self.begin).total_seconds()
        self.clock.advance(seconds - now)
        await self.tell()

    async def tell(self, *events):
        await self.writer.submit(lambda _: Decision(events), META)

    async def start(self):
        await super().start()
        self.begin = self.clock.now()
        return self

    async def timeout_of(self, seconds):
        await self.tell(ResourceGroupChanged(name="default", pending_timeout=seconds))

    async def seen(self, session_id, phase, **more):
        def decide(books):
            session = books.sessions[session_id]
            kernel = session.main
            report = KernelReport(
                session_id=session_id,
                kernel_id=kernel.kernel_id,
                attempt=session.attempt,
                sequence=1,
                phase=phase,
                at=self.clock.now(),
                **more,
            )
            return Decision(session_rules.report(session, report, "a1", "i1"))

        await self.writer.submit(decide, META)

    async def entry(self, session_id):
        query = GetPendingQueue(resource_group="default", limit=500)
        queue = await self.writer.read(lambda books: page(books, query, 0))
        assert queue.total == len(queue.entries)
        assert [entry.position for entry in queue.entries] == list(range(1, queue.total + 1))
        return next((one for one in queue.entries if one.session_id == session_id), None)

    async def waits(self, session_id):
        return await self.entry(session_id) is not None

    async def status(self, session_id):
        def look(books):
            session = books.sessions.get(session_id)
            return session.status if session else None

        return await self.writer.read(look)

    def ends(self):
        """Return why sessions have ended, or were told to."""
        return {
            event.session_id: event.reason
            for events in self.commits
            for event in events
            if type(event).__name__ in {"SessionCancelled", "SessionTerminating", "SessionFailed"}
        }

    def from_start(self, seconds):
        return self.begin + timedelta(seconds=seconds)
