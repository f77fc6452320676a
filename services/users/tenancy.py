"""Domains, projects and their members.

What a decision rests on beside an aggregate's own events are rows of the index; they are read
again, locked, in the transaction that appends. A project's stream grows with its members, so it
is never read as a whole: only what defines the project.
"""

from functools import partial
from typing import Final, NamedTuple

import asyncpg
from msgspec import UNSET

from services.users import directory
from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.assignments import hold_assigned, is_assignable
from services.users.directory import Connection
from services.users.domain import domain, membership, project
from services.users.domain.membership import MembershipCommand
from services.users.domain.project import Project
from services.users.indexing import index
from services.users.known_policies import KnownPolicies
from shared.contracts.base import Accepted
from shared.contracts.users import (
    ChangeDomain,
    ChangeProject,
    CreateDomain,
    CreateProject,
    RemoveProjectMember,
    SetProjectMember,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Write
from shared.eventlog.writing import Within
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger

DOMAIN: Final = Decider(domain.INITIAL, domain.evolve, domain.decide)
PROJECT: Final = Decider(project.INITIAL, project.evolve, project.decide)
_DEFINITION: Final = (
    "select type, schema_version, data from events"
    " where stream = $1 and type in ('ProjectCreated', 'ProjectChanged') order by version"
)
logger = get_logger(__name__)


class _Ground(NamedTuple):
    """What a new project stands on: its domain, its name's holder, and those who join."""

    domain_active: bool | None
    holder: str | None
    people: tuple[str, ...]


class Tenancy:
    """Handles the commands about domains, projects and members."""

    def __init__(self, log: EventLog, policies: KnownPolicies) -> None:
        self._log = log
        self._policies = policies

    async def change_domain(
        self, command: CreateDomain | ChangeDomain, context: CommandContext
    ) -> Outcome:
        """Create a domain, or change what is given of one."""

        async def work() -> Outcome:
            stream = stream_name("domain", command.name)
            loaded = await self._log.load(stream)
            decided = DOMAIN.decide(DOMAIN.fold(loaded.events), command, None)
            if isinstance(decided, Rejection):
                return decided
            # taking in that a domain is inactive waits for those who are entering it
            return await self._append([Write(stream, loaded.version, decided)], context)

        return await answer_once(self._log, context.idempotency, work)

    async def create_project(self, command: CreateProject, context: CommandContext) -> Outcome:
        """Create a project; into one of models everybody of the domain comes at once."""
        if (unknown := self._policies.unknown()) is not None:
            return unknown
        project_id = new_id()
        stream = stream_name("project", project_id)

        async def work() -> Outcome:
            with reaching_postgres():
                ground = await self._ground(self._log.pool, command)
            facts = project.NewProject(
                project_id=project_id,
                domain_active=ground.domain_active,
                name_taken=ground.holder is not None,
                policy_exists=await self._may_have(command.resource_policy),
                joining=ground.people,
            )
            decided = PROJECT.decide(project.INITIAL, command, facts)
            if isinstance(decided, Rejection):
                return decided

            async def check(connection: asyncpg.Connection) -> None:
                if await self._ground(connection, command, lock=True) != ground:
                    raise FactsChanged(project_id)

            writes = [Write(stream, 0, decided)]
            return await self._append(writes, context, check, {"project_id": project_id})

        return await answer_once(self._log, context.idempotency, work)

    async def change_project(self, command: ChangeProject, context: CommandContext) -> Outcome:
        """Change what is given of a project."""
        names_policy = command.resource_policy is not UNSET
        if names_policy and (unknown := self._policies.unknown()) is not None:
            return unknown
        stream = stream_name("project", command.project_id)

        async def work() -> Outcome:
            with reaching_postgres():
                state = await self._definition(self._log.pool, stream)
            known = command.resource_policy is UNSET or await self._may_have(
                command.resource_policy
            )
            decided = PROJECT.decide(state, command, project.Change(policy_exists=known))
            if isinstance(decided, Rejection):
                return decided

            async def check(connection: asyncpg.Connection) -> None:
                await directory.lock_project(connection, command.project_id)
                if await self._definition(connection, stream) != state:
                    raise FactsChanged(command.project_id)

            return await self._append([Write(stream, None, decided)], context, check)

        return await answer_once(self._log, context.idempotency, work)

    async def change_member(
        self, command: SetProjectMember | RemoveProjectMember, context: CommandContext
    ) -> Outcome:
        """Let a user join a project, have another role in it, or leave it."""
        work = partial(self._change_member, command, context)
        return await answer_once(self._log, context.idempotency, work)

    async def _change_member(self, command: MembershipCommand, context: CommandContext) -> Outcome:
        project_id, user_id = command.project_id, command.user_id
        with reaching_postgres():
            state = await directory.membership(self._log.pool, project_id, user_id)
        decided = membership.decide(state, command)
        if isinstance(decided, Rejection):
            return decided

        async def check(connection: asyncpg.Connection) -> None:
            now = await directory.membership(connection, project_id, user_id, lock=True)
            if now != state:
                raise FactsChanged(user_id)

        stream = stream_name("project", project_id)
        return await self._append([Write(stream, None, decided)], context, check)

    async def _may_have(self, policy: str) -> bool:
        return await is_assignable(self._log.pool, self._policies, "project", policy)

    async def _ground(
        self, connection: Connection, command: CreateProject, *, lock: bool = False
    ) -> _Ground:
        is_active = await directory.domain_active(connection, command.domain, lock=lock)
        holder = await directory.project_named(connection, command.domain, command.name)
        people: tuple[str, ...] = ()
        if command.project_type == directory.MODEL_STORE:
            people = await directory.people_of(connection, command.domain)
        return _Ground(is_active, holder, people)

    async def _definition(self, connection: Connection, stream: str) -> Project:
        rows = await connection.fetch(_DEFINITION, stream)
        return PROJECT.fold(self._log.codec.decode(row[0], row[1], row[2]) for row in rows)

    async def _append(
        self,
        writes: list[Write],
        context: CommandContext,
        check: Within | None = None,
        result: dict[str, object] | None = None,
    ) -> Outcome:
        """Append what was decided, and let the index follow in the same transaction."""

        async def store(connection: asyncpg.Connection) -> None:
            if check is not None:
                await check(connection)
            await hold_assigned(connection, self._policies, writes)
            try:
                await index(connection, writes)
            except asyncpg.UniqueViolationError as beaten:
                raise FactsChanged(writes[0].stream) from beaten

        changes = [write for write in writes if write.events]
        appended = await self._log.append(
            changes,
            context.meta,
            command=context.idempotency,
            result=result,
            within=store if changes else None,
        )
        for write in changes:
            logger.info("tenancy_changed", stream=write.stream, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last, result=result or {})
