"""Whatever happens in whatever order, in the end every event is shown once, in order."""

import random
from contextlib import AsyncExitStack

import pytest
from nats.errors import Error as NatsError

from shared.projections.runner import ProjectionRunner
from shared.testing.eventually import eventually
from shared.testing.servers import Databases, NatsServer
from tests.projections.conftest import DEADLINE_S, Bench, background
from tests.projections.journal import Journal

STEPS = 40


class Chaos:
    """Does one thing after the other to a bench, chosen by `dice`."""

    def __init__(
        self, bench: Bench, postgres: Databases, server: NatsServer, dice: random.Random
    ) -> None:
        self.bench = bench
        self.postgres = postgres
        self.server = server
        self.dice = dice
        self.last = 0
        self.names = iter(range(1_000_000))
        self.runners: list[tuple[ProjectionRunner, AsyncExitStack]] = []

    async def append(self) -> None:
        names = [f"n{next(self.names)}" for _ in range(self.dice.randint(1, 60))]
        self.last = await self.bench.domains(*names)

    async def start_runner(self) -> None:
        if len(self.runners) < 3:
            runner = ProjectionRunner(self.bench.pool, self.bench.nats, [Journal()])
            await runner.prepare()
            stack = AsyncExitStack()
            await stack.enter_async_context(background(runner.run()))
            self.runners.append((runner, stack))

    async def stop_runner(self) -> None:
        if self.runners:
            _, stack = self.runners.pop(self.dice.randrange(len(self.runners)))
            await stack.aclose()

    async def rebuild(self) -> None:
        if self.runners:
            await self.dice.choice(self.runners)[0].rebuild("journal")

    async def drop_connections(self) -> None:
        await self.postgres.server.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'gateway' and state <> 'idle'"
        )

    async def delete_consumers(self) -> None:
        js = self.bench.nats.jetstream()
        try:
            for consumer in await js.consumers_info("EVENTS_users"):
                await js.delete_consumer("EVENTS_users", consumer.name)
        except NatsError:
            return  # it is just being killed, wiped or filled again

    async def restart_server(self) -> None:
        await self.server.kill()
        if self.dice.random() < 0.5:
            self.server.wipe()
        await self.server.start()

    async def wait(self) -> None:
        for runner, _ in self.runners:
            await runner.wait_for("users", self.last, 0.2)

    async def step(self) -> None:
        ways = [
            *[self.append] * 6,
            *[self.start_runner] * 3,
            *[self.wait] * 2,
            self.stop_runner,
            self.rebuild,
            self.drop_connections,
            self.delete_consumers,
        ]
        await self.dice.choice(ways)()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_journal_equals_the_log_after_any_mishaps(
    bench: Bench, postgres: Databases, nats_server: NatsServer, seed: int
):
    chaos = Chaos(bench, postgres, nats_server, random.Random(seed))
    await bench.preset("small")
    try:
        for number in range(STEPS):
            await chaos.step()
            if number in {STEPS // 3, 2 * STEPS // 3}:
                await chaos.restart_server()
        await chaos.append()
        while not chaos.runners:
            await chaos.start_runner()
        for runner, _ in chaos.runners:
            assert await runner.wait_for("users", chaos.last, DEADLINE_S), runner.check()
        building = "select exists(select from projection_generations where state = 'building')"

        async def is_built() -> bool:
            return not await bench.pool.fetchval(building)

        await eventually(is_built)
        assert await bench.rows() == list(range(1, chaos.last + 1))
    finally:
        for _, stack in chaos.runners:
            await stack.aclose()
