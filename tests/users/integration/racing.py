"""Policies that are given to somebody and deleted at the same time, by processes that die.

Each name is raced for again and again, one race after the other; the names race side by side.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nats.aio.client import Client

from services.policies.deletion import Deletion
from shared.contracts.base import Accepted, Actor, Command, Meta, Reply
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    DeletePolicy,
    PolicyKind,
)
from shared.contracts.users import (
    ChangeKeypair,
    ChangeProject,
    ChangeUser,
    CreateProject,
    IssueKeypair,
)
from shared.eventlog.log import EventLog
from shared.eventlog.records import CommandKey
from shared.kernel.clock import SystemClock
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandClient, CommandContext
from shared.testing.services import ServiceProcess
from tests.users.integration.harness import Users

CREATE = {"keypair": CreateKeypairPolicy, "user": CreateUserPolicy, "project": CreateProjectPolicy}
DEFAULTS = ("keypair-0", "keypair-1")  # what becomes the default now and then
PATIENCE_S = 3.0
INSISTENCE = 300


class Died(Exception):  # noqa: N818  # reads as what happened
    """The process ended here."""


class Dying(CommandClient):
    """Sends as the policies service does, and dies now and then: before it, or after it."""

    chance = random.Random(28)

    async def send(self, command: Command, **more: Any) -> Reply:
        fate = self.chance.choice(("before", "after", "lives"))
        if fate == "before":
            raise Died
        reply = await super().send(command, **more)
        if fate == "after":
            raise Died
        return reply


@dataclass
class Arena:
    """The services, one more process that only deletes and dies, and what came of it."""

    users: Users
    nats: Client
    policies_log: EventLog
    processes: Mapping[str, ServiceProcess]
    chance: random.Random = field(default_factory=lambda: random.Random(4))
    up: dict[str, asyncio.Event] = field(default_factory=dict)
    asking: dict[str, set[asyncio.Future[Reply]]] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    raced: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        for service in self.processes:
            self.up[service] = asyncio.Event()
            self.up[service].set()
            self.asking[service] = set()

    async def kill(self, service: str) -> None:
        """Kill -9 a service in the middle of things, and start it again."""
        self.up[service].clear()
        await self.processes[service].kill()
        for question in self.asking[service]:
            question.cancel()  # nobody is there to answer it
        await self.processes[service].start()
        self.up[service].set()
        self.outcomes[f"{service} killed"] += 1

    async def insist(
        self, command: Command, seen: Mapping[str, int] | None = None
    ) -> Accepted | Rejection:
        """Send a command until it is known what became of it."""
        key = CommandKey(new_id(), "digest")
        for _ in range(INSISTENCE):
            for up in self.up.values():  # a deletion needs both
                await up.wait()
            reply = await self._ask(command, key, seen)
            if reply is None:
                continue
            if isinstance(reply, Accepted):
                return reply
            if reply.rejection.kind != "unavailable":
                return reply.rejection
            self.outcomes[f"again: {reply.rejection.code}"] += 1
        raise AssertionError(f"no end of it: {reply}")

    async def _ask(
        self, command: Command, key: CommandKey, seen: Mapping[str, int] | None
    ) -> Reply | None:
        """Send a command once; None when its service was killed meanwhile."""
        sending = self.users.send(command, key, timeout_s=PATIENCE_S, seen=seen)
        question = asyncio.ensure_future(sending)
        self.asking[command.SERVICE].add(question)
        await asyncio.wait({question})
        self.asking[command.SERVICE].discard(question)
        return None if question.cancelled() else question.result()

    async def done(self, command: Command, **more: Any) -> Accepted:
        outcome = await self.insist(command, **more)
        assert isinstance(outcome, Accepted), outcome
        return outcome

    async def delete(self, kind: PolicyKind, name: str) -> None:
        """Delete a policy: ask the service, or do it in a process that may die of it."""
        wish = DeletePolicy(kind=kind, name=name)
        if self.chance.random() < 0.5:
            outcome = await self.insist(wish)
        else:
            dying = Dying(self.nats, "policies")
            deletion = Deletion(self.policies_log, dying, SystemClock())
            try:
                outcome = await deletion.delete(wish, _context())
            except Died:
                self.outcomes["deletion: died"] += 1
                return
        code = "accepted" if isinstance(outcome, Accepted) else outcome.code
        self.outcomes[f"deletion: {code}"] += 1


def _context() -> CommandContext:
    meta = Meta(actor=Actor(kind="user", id="tester"), correlation_id=new_id())
    deadline = SystemClock().now() + timedelta(seconds=PATIENCE_S)
    return CommandContext(meta, CommandKey(new_id(), "digest"), deadline, new_id())


@dataclass
class Contest:
    """One name that is raced for, and somebody of its own who is given it."""

    arena: Arena
    kind: PolicyKind
    name: str
    holder: dict[str, str]

    async def race(self) -> None:
        """Create the policy unless it is there; give it and delete it at once; take it back."""
        arena, chance = self.arena, self.arena.chance
        created = await arena.insist(CREATE[self.kind](name=self.name))
        seen = {"policies": created.position} if isinstance(created, Accepted) else None
        runners = [self._take(seen), arena.delete(self.kind, self.name)]
        newcomer = chance.random() < 0.2
        if newcomer:
            runners.append(self._newcomer(seen))
        chosen = self.name in DEFAULTS and chance.random() < 0.3
        if chosen:
            runners.append(self._choose(self.name))
        if chance.random() < 0.2:
            runners.append(arena.delete(self.kind, self.name))
        chance.shuffle(runners)
        await asyncio.gather(*runners)
        if chosen:
            await arena.done(ChangeKeypairPolicy(name="default", is_default=True))
        await arena.done(self._change("default"))
        arena.raced.put_nowait(None)

    def _change(self, name: str) -> Command:
        match self.kind:
            case "keypair":
                key = self.holder["access_key"]
                return ChangeKeypair(access_key=key, resource_policy=name)
            case "user":
                return ChangeUser(user_id=self.holder["user_id"], resource_policy=name)
            case "project":
                return ChangeProject(project_id=self.holder["project_id"], resource_policy=name)

    async def _take(self, seen: Mapping[str, int] | None) -> None:
        """Give it to the holder: at once, or when a deletion may have come further."""
        if self.arena.chance.random() < 0.5:
            await self.arena.done(self._change("default"))
        await self._give(self._change(self.name), seen)

    async def _give(self, command: Command, seen: Mapping[str, int] | None) -> Accepted | None:
        outcome = await self.arena.insist(command, seen)
        if isinstance(outcome, Accepted):
            self.arena.outcomes["assignment: accepted"] += 1
            return outcome
        codes = [error.code for error in outcome.errors]
        assert codes == ["unknown_policy"], outcome
        self.arena.outcomes["assignment: unknown_policy"] += 1
        return None

    async def _newcomer(self, seen: Mapping[str, int] | None) -> None:
        """Let something new be born with the policy, and take it back at once."""
        name = self.name
        match self.kind:
            case "keypair":
                wish: Command = IssueKeypair(user_id=self.holder["user_id"], resource_policy=name)
            case "user":
                wish = self.arena.users.creation(f"n{new_id()}", resource_policy=name)
            case "project":
                wish = CreateProject(
                    domain="default", name=new_id(), project_type="general", resource_policy=name
                )
        made = await self._give(wish, seen)
        if made is not None:
            holder = {key: str(value) for key, value in made.result.items()}
            await self.arena.done(Contest(self.arena, self.kind, name, holder)._change("default"))

    async def _choose(self, name: str) -> None:
        outcome = await self.arena.insist(ChangeKeypairPolicy(name=name, is_default=True))
        if isinstance(outcome, Rejection):
            assert outcome.kind == "not_found", outcome
            self.arena.outcomes["default: gone"] += 1
        else:
            self.arena.outcomes["default: accepted"] += 1


async def contest(arena: Arena, kind: PolicyKind, name: str) -> Contest:
    """Return a contest with a holder of its own."""
    if kind == "project":
        wish = CreateProject(domain="default", name=name, project_type="general")
        return Contest(arena, kind, name, dict((await arena.done(wish)).result))
    return Contest(arena, kind, name, await arena.users.created(name))
