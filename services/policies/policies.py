"""Creating and changing the three kinds of policies."""

from typing import Any, Final

from services.policies.domain import keypair_policy, project_policy, user_policy
from services.policies.names import default_claim
from services.policies.writing import Writing
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    ChangeProjectPolicy,
    ChangeUserPolicy,
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
)
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.outcomes import ClaimTaken, StreamConflict
from shared.eventlog.records import Claim, Write
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome

KEYPAIR: Final = "keypair-policy"
USER: Final = "user-policy"
PROJECT: Final = "project-policy"
KEYPAIR_POLICY: Final = Decider(
    keypair_policy.INITIAL, keypair_policy.evolve, keypair_policy.decide
)
USER_POLICY: Final = Decider(user_policy.INITIAL, user_policy.evolve, user_policy.decide)
PROJECT_POLICY: Final = Decider(
    project_policy.INITIAL, project_policy.evolve, project_policy.decide
)


class Policies:
    """Handles the commands that create and change policies."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    async def keypair(
        self, command: CreateKeypairPolicy | ChangeKeypairPolicy, context: CommandContext
    ) -> Outcome:
        """Create or change a keypair policy; the default before it is that no more."""

        async def work() -> Outcome:
            stream = stream_name(KEYPAIR, command.name)
            loaded = await self._writing.load(stream)
            state = KEYPAIR_POLICY.fold(loaded.events)
            decided = KEYPAIR_POLICY.decide(state, command, await self._writing.maxima())
            if isinstance(decided, Rejection):
                return decided
            if _only_checked(command):
                return await self._writing.checked()
            writes, claims, releases = [Write(stream, loaded.version, decided)], [], []
            if KEYPAIR_POLICY.fold(decided, state).is_default and not state.is_default:
                claims = [default_claim(command.name)]
                releases = await self._succeed(claims[0], writes)
            try:
                return await self._writing.append(context, writes, claims=claims, releases=releases)
            except ClaimTaken as taken:  # another process has just made another one the default
                raise StreamConflict(stream_name(KEYPAIR, taken.owner), 0, 0) from taken

        return await self._writing.once(context, work)

    async def _succeed(self, claim: Claim, writes: list[Write]) -> list[Claim]:
        """Add what becomes of the default before; return the claim that it gives up."""
        before = await self._writing.owner_of(claim)
        if before is None:
            return []
        stream = stream_name(KEYPAIR, before)
        loaded = await self._writing.load(stream)
        given_up = keypair_policy.decide_succession(KEYPAIR_POLICY.fold(loaded.events))
        writes.append(Write(stream, loaded.version, given_up))
        return [default_claim(before)]

    async def user(
        self, command: CreateUserPolicy | ChangeUserPolicy, context: CommandContext
    ) -> Outcome:
        """Create or change a user policy."""
        return await self._simple(USER, USER_POLICY, command, context)

    async def project(
        self, command: CreateProjectPolicy | ChangeProjectPolicy, context: CommandContext
    ) -> Outcome:
        """Create or change a project policy."""
        return await self._simple(PROJECT, PROJECT_POLICY, command, context)

    async def _simple(
        self, aggregate: str, decider: Decider[Any, Any, Any], command: Any, context: CommandContext
    ) -> Outcome:
        async def work() -> Outcome:
            stream = stream_name(aggregate, command.name)
            loaded = await self._writing.load(stream)
            maxima = await self._writing.maxima()
            decided = decider.decide(decider.fold(loaded.events), command, maxima)
            if isinstance(decided, Rejection):
                return decided
            if _only_checked(command):
                return await self._writing.checked()
            return await self._writing.append(context, [Write(stream, loaded.version, decided)])

        return await self._writing.once(context, work)


def _only_checked(command: Any) -> bool:
    checking = ChangeKeypairPolicy | ChangeUserPolicy | ChangeProjectPolicy
    return isinstance(command, checking) and command.check_only
