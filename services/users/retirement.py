"""RetirePolicy and ReinstatePolicy: the users' half of the deletion of a policy."""

from functools import partial
from typing import Final

import asyncpg

from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.assignments import hold_retired
from services.users.directory import Connection
from services.users.domain import retirement
from services.users.domain.retirement import SHOWN_MAX, Uses
from services.users.indexing import index
from shared.contracts.base import Accepted
from shared.contracts.policies import PolicyKind
from shared.contracts.users import PolicyRetired, ReinstatePolicy, RetirePolicy
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Write
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger

NAME: Final = Decider(retirement.INITIAL, retirement.evolve, retirement.decide)
# Those who are not active use their policies too; nobody can become active again who is erased.
_USES: Final[dict[PolicyKind, str]] = {
    "keypair": (
        "select k.access_key as id from keypairs k join accounts a using (user_id)"
        " where k.resource_policy = $1 and not a.is_erased"
    ),
    "user": "select user_id as id from accounts where resource_policy = $1 and not is_erased",
    "project": "select project_id as id from projects where resource_policy = $1",
}
_FIRST: Final = "select id, count(*) over () as number from ({}) as uses order by id limit $2"
logger = get_logger(__name__)


async def uses_of(connection: Connection, kind: PolicyKind, name: str) -> Uses:
    """Return who uses a policy."""
    rows = await connection.fetch(_FIRST.format(_USES[kind]), name, SHOWN_MAX)
    return Uses(rows[0]["number"], tuple(row["id"] for row in rows)) if rows else Uses()


class Retirement:
    """Handles the commands by which the policies service takes names out of use."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def retire(self, command: RetirePolicy, context: CommandContext) -> Outcome:
        """Retire a policy, unless somebody uses it."""
        work = partial(self._change, command, context)
        return await answer_once(self._log, context.idempotency, work)

    async def reinstate(self, command: ReinstatePolicy, context: CommandContext) -> Outcome:
        """Let a policy be used again."""
        work = partial(self._change, command, context)
        return await answer_once(self._log, context.idempotency, work)

    async def _change(
        self, command: RetirePolicy | ReinstatePolicy, context: CommandContext
    ) -> Outcome:
        kind, name = command.kind, command.name
        stream = stream_name(PolicyRetired.AGGREGATE, f"{kind}:{name}")
        loaded = await self._log.load(stream)
        with reaching_postgres():
            uses = await uses_of(self._log.pool, kind, name)
        decided = NAME.decide(NAME.fold(loaded.events), command, uses)
        if isinstance(decided, Rejection):
            return decided
        writes = [Write(stream, loaded.version, decided)] if decided else []

        async def store(connection: asyncpg.Connection) -> None:
            await hold_retired(connection, kind, name)
            if await uses_of(connection, kind, name) != uses:
                raise FactsChanged(name)
            await index(connection, writes)

        appended = await self._log.append(
            writes,
            context.meta,
            command=context.idempotency,
            within=store if writes else None,
        )
        if decided:
            logger.info(
                "policy_name_changed", change=type(decided[0]).__name__, kind=kind, policy=name
            )
        return Accepted(service=SERVICE, position=appended.last)
