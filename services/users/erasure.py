"""EraseUser: a person's data is gone for ever, in one transaction; history stays valid.

Every text about the person, in the log, in streams and in read models, is sealed under the
person's key. With its row everything becomes unreadable at once; the rest of what is kept about
the person here goes in the same transaction: the password, the seed of one-time passwords, the
log-ins, the keyed hashes of the names, and the remembered answers.
"""

from functools import partial
from typing import Final

import asyncpg

from services.users import directory, live_logins
from services.users.answers import SERVICE, FactsChanged, answer_once
from services.users.domain import erasure, user
from services.users.domain.erasure import Facts
from services.users.indexing import index
from services.users.vault import EMAIL
from shared.contracts.base import Accepted
from shared.contracts.users import EraseUser
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.log import EventLog
from shared.eventlog.pool import reaching_postgres
from shared.eventlog.records import Claim, Write
from shared.kernel.clock import Clock
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome
from shared.observability.logging import get_logger

USER: Final = Decider(user.INITIAL, user.evolve, erasure.decide)
_CLAIMS: Final = "select kind, value, owner from claims where owner = $1 order by kind, value"
_OF_USER: Final = (
    "delete from person_keys where user_id = $1",
    "delete from credentials where user_id = $1",
    "delete from totp_seeds where user_id = $1",
)
_LOGINS: Final = "delete from logins where user_id = $1"
_ATTEMPTS: Final = "delete from login_attempts where fingerprint = any($1::text[])"
# Answers that the person was given (the key begins with who asked) and answers about the person.
_ANSWERS: Final = """
    delete from commands_done
    where starts_with(idempotency_key, $1 || ':')
        or result->>'user_id' = $1
        or result->>'access_key' in (select access_key from keypairs where user_id = $1)
"""
logger = get_logger(__name__)


class Erasure:
    """Handles EraseUser."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    async def erase(self, command: EraseUser, context: CommandContext) -> Outcome:
        """Erase a deactivated user; a second time changes nothing."""
        work = partial(self._erase, command, context)
        return await answer_once(self._log, context.idempotency, work)

    async def _erase(self, command: EraseUser, context: CommandContext) -> Outcome:
        user_id, actor = command.user_id, context.meta.actor
        loaded = await self._log.load(stream_name("user", user_id))
        with reaching_postgres():
            keypairs = await directory.active_keypairs(self._log.pool, user_id)
            claims = [Claim(*row) for row in await self._log.pool.fetch(_CLAIMS, user_id)]
        facts = Facts(is_own=actor.kind == "user" and actor.id == user_id, keypairs=keypairs)
        decided = USER.decide(USER.fold(loaded.events), command, facts)
        if isinstance(decided, Rejection):
            return decided
        now = self._clock.now()
        logins = await live_logins.live_logins(self._log.pool, user_id, now) if decided else ()
        writes = [
            Write(
                stream_name(event.AGGREGATE, event.key()),
                loaded.version if event.AGGREGATE == "user" else None,
                (event,),
            )
            for event in decided
        ]
        writes += live_logins.endings(user_id, logins, "user_erased")

        async def store(connection: asyncpg.Connection) -> None:
            await live_logins.hold(connection, user_id, logins, now)
            if await directory.active_keypairs(connection, user_id, lock=True) != keypairs:
                raise FactsChanged(user_id)
            await index(connection, writes)
            for sql in _OF_USER:
                await connection.execute(sql, user_id)
            addresses = [claim.value for claim in claims if claim.kind == EMAIL]
            await connection.execute(_ATTEMPTS, addresses)
            for sql in (_LOGINS, _ANSWERS):
                await connection.execute(sql, user_id)

        appended = await self._log.append(
            writes,
            context.meta,
            releases=claims if decided else (),
            command=context.idempotency,
            within=store if decided else None,
        )
        logger.info("user_erased", user_id=user_id, position=appended.last)
        return Accepted(service=SERVICE, position=appended.last)
