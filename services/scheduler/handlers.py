"""Commands: what is looked up for each, then decided by the writer."""

from collections.abc import Mapping
from typing import Final

import msgspec

from services.scheduler.agents_view import AgentsView
from services.scheduler.books import Books, Ended
from services.scheduler.dependencies import ended_in_log, finder
from services.scheduler.domain import enqueue as rules
from services.scheduler.domain import resource_group, session_rules
from services.scheduler.domain.session import Session, SessionFact, evolve
from services.scheduler.limits_view import LimitsView
from services.scheduler.simulating import Judge
from services.scheduler.users_view import UsersView
from services.scheduler.writer import Decide, Decision, Outcome, Writer
from shared.contracts.base import Accepted
from shared.contracts.scheduler import (
    EnqueueSession,
    ReportKernels,
    SessionEnqueued,
    TerminateSession,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.log import EventLog
from shared.kernel.clock import Clock
from shared.kernel.ids import new_id
from shared.kernel.rejections import (
    FieldError,
    Rejection,
    all_invalid,
    invalid,
    not_found,
    unavailable,
)
from shared.messaging.commands import CommandContext
from shared.security.environ import open_environ
from shared.security.sealing import Keyring, SealBroken

REPORTS_MAX: Final = 1_000


class SessionHandlers:
    """Handles the scheduler's commands."""

    def __init__(
        self,
        writer: Writer,
        event_log: EventLog,
        agents: AgentsView,
        users: UsersView,
        *,
        limits: LimitsView,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._log = event_log
        self._agents = agents
        self._users = users
        self._limits = limits
        self._keyring = keyring
        self._clock = clock

    async def enqueue(self, command: EnqueueSession, context: CommandContext) -> Outcome:
        """Put sessions into a queue."""
        judge = await self.judging(command)
        if isinstance(judge, Rejection):
            return judge

        def decide(books: Books) -> Decision | Rejection:
            events = judge(books)
            if isinstance(events, Rejection):
                return events
            return Decision(events, {"session_ids": [event.session_id for event in events]})

        return await self._submit(decide, context)

    async def judging(self, command: EnqueueSession) -> Judge | Rejection:
        """Return what decides a command by the books, or the refusal that needs none."""
        if (problem := self._environ_problem(command)) is not None:
            return all_invalid((problem,))
        in_log = await ended_in_log(self._log, self._writer.books, command)

        def judge(books: Books) -> tuple[SessionEnqueued, ...] | Rejection:
            wish = self._in_a_group(command, books)
            return rules.decide(wish, self._facts(wish, books, in_log))

        return judge

    async def terminate(self, command: TerminateSession, context: CommandContext) -> Outcome:
        """End a session; one that has ended already stays as it is."""

        def decide(books: Books) -> Decision | Rejection:
            session = books.sessions.get(command.session_id)
            if session is None:
                known = command.session_id in books.ended
                return Decision(()) if known else not_found("session", command.session_id[:64])
            events = session_rules.terminate(
                session,
                forced=command.forced,
                grace_s=command.grace_s,
                at=self._clock.now(),
                is_reachable=self._agents.is_alive,
            )
            return events if isinstance(events, Rejection) else Decision(events)

        outcome = await self._submit(decide, context)
        if isinstance(outcome, Rejection) and outcome.kind == "not_found":
            stream = await self._log.load(stream_name("session", command.session_id))
            if stream.version:
                return Accepted(service="scheduler", position=self._writer.position)
        return outcome

    async def report(self, command: ReportKernels, context: CommandContext) -> Outcome:
        """Take in what a node saw; the answer means that it need not be said again.

        A report of nothing is accepted once the agent is known: nodes ask that way.
        """
        if not command.reports:
            return self._introduced(command)
        if len(command.reports) > REPORTS_MAX:
            return invalid("reports", "too_many", f"At most {REPORTS_MAX} reports at once.")

        def decide(books: Books) -> Decision:
            events: list[SessionFact] = []
            states: dict[str, Session] = {}
            for seen in sorted(command.reports, key=lambda seen: seen.sequence):
                state = states.get(seen.session_id) or books.sessions.get(seen.session_id)
                if state is None:
                    continue
                news = session_rules.report(state, seen, command.agent_id, command.incarnation)
                for event in news:
                    state = evolve(state, event)
                states[seen.session_id] = state
                events.extend(news)
            return Decision(tuple(events))

        return await self._submit(decide, context)

    def _introduced(self, command: ReportKernels) -> Outcome:
        if self._agents.is_known(command.agent_id, command.incarnation):
            return Accepted(service="scheduler", position=self._writer.position)
        return unavailable("agent_unknown", "The scheduler has not learned of this agent yet.")

    async def _submit(self, decide: Decide, context: CommandContext) -> Outcome:
        return await self._writer.submit(
            decide, context.meta, key=context.idempotency, deadline=context.deadline
        )

    def _environ_problem(self, command: EnqueueSession) -> FieldError | None:
        if command.environ is None:
            return None
        try:
            open_environ(self._keyring, command.user_id, command.environ)
        except SealBroken:
            return FieldError("environ", "does_not_open", "The environment was not sealed for us.")
        return None

    def _in_a_group(self, command: EnqueueSession, books: Books) -> EnqueueSession:
        """Return the command with the group that it means when it names none."""
        if command.resource_group is not None:
            return command
        wanted = self._agents.groups_of(command.designated_agents)
        groups = (
            queue.group for name, queue in books.queues.items() if not wanted or name in wanted
        )
        chosen = resource_group.choose(groups, command, self._access_key(command))
        return msgspec.structs.replace(command, resource_group=chosen)

    def _access_key(self, command: EnqueueSession) -> str | None:
        return command.access_key or self._limits.keypairs.main_of(command.user_id)

    def _facts(
        self, command: EnqueueSession, books: Books, in_log: Mapping[str, Ended]
    ) -> rules.Facts:
        group = command.resource_group or ""
        queue = books.queues.get(group)
        user_id = command.user_id
        agents, keypairs = self._agents, self._limits.keypairs
        access_key = self._access_key(command)
        most = books.defaults.max_containers
        return rules.Facts(
            group=queue.group if queue else None,
            architecture=agents.architecture_of(command.image, group, command.designated_agents),
            user_problem=self._users.user_problem(user_id),
            project_problem=self._users.project_problem(
                user_id, command.project_id, command.domain
            ),
            is_name_taken=lambda name: (user_id, name) in books.names,
            impossible=lambda shape: agents.impossible(group, shape, most),
            make_id=new_id,
            sees_all_groups=self._users.is_superadmin(user_id),
            access_key=access_key,
            keypair_problem=keypairs.problem(user_id, access_key) if access_key else None,
            limits=self._limits.of_keypair(access_key) if access_key else None,
            pending=books.pending.of(access_key),
            find_dependency=finder(books, user_id, in_log),
            image=agents.needs_of(command.image, group, command.designated_agents),
            offered_slots=agents.slots_in(group),
            find_agent=agents.agents.get,
        )
