"""Brings every kernel of this node to what is desired; one worker for each."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from services.agents.node.domain.kernel import Unnamed
from services.agents.node.journal import Journal
from services.agents.node.runtime import KernelKey, Runtime
from services.agents.node.worker import JobMaker, KernelWorker
from shared.contracts.kernels import KernelPresence, KernelSpec
from shared.kernel.clock import Clock
from shared.messaging.desired import DesiredChange, Dropped, Wanted

LAUNCHES_AT_ONCE: Final = 8
RETRY_S: Final = 5.0
# Ids become names of folders and groups.
SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_log = structlog.get_logger(__name__)


class Reconciler:
    """Owns the workers. Nothing is stopped for being unnamed, only forgotten once it has ended."""

    def __init__(
        self,
        *,
        journal: Journal,
        runtime: Runtime,
        make_job: JobMaker,
        clock: Clock,
        on_change: Callable[[], None],
        logs_kept: int,
    ) -> None:
        """Keep the logs of the newest `logs_kept` forgotten kernels."""
        self._journal = journal
        self._runtime = runtime
        self._make_job = make_job
        self._clock = clock
        self._on_change = on_change
        self._logs_kept = logs_kept
        self._launches = asyncio.Semaphore(LAUNCHES_AT_ONCE)
        self._workers: dict[str, KernelWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def recover(self) -> None:
        """Take up what the journal knows, and end what runs for no known kernel."""
        records = await self._journal.records()
        keys = [KernelKey(record.spec.kernel_id, record.spec.attempt) for record in records]
        found = await self._runtime.leftovers(keys)
        if found:
            _log.warning("unknown_kernels_ended", groups=found)
        for record in records:
            await self._worker(record.spec.kernel_id).load()
        if records:
            _log.info("kernels_recovered", count=len(records))

    async def follow(self, changes: AsyncIterator[DesiredChange]) -> None:
        """Steer by the desired state until its end."""
        async for change in changes:
            if isinstance(change, Wanted):
                if self._concerns_us(change.spec):
                    self._worker(change.spec.kernel_id).steer(change.spec)
            elif isinstance(change, Dropped):
                self._release(change.kernel_id)
            else:
                for kernel_id in self._workers.keys() - change.kernel_ids:
                    self._release(kernel_id)

    def _concerns_us(self, spec: KernelSpec) -> bool:
        if SAFE_ID.fullmatch(spec.kernel_id) is None or spec.attempt < 0:
            _log.error("kernel_id_refused", kernel=spec.kernel_id[:80])
            return False
        # What is meant for another life of this name is not this node's affair.
        return spec.incarnation in ("", self._journal.incarnation)

    def _release(self, kernel_id: str) -> None:
        if kernel_id in self._workers:
            self._workers[kernel_id].steer(Unnamed())

    def presences(self) -> tuple[KernelPresence, ...]:
        """Return every kernel known here."""
        found = (worker.presence() for worker in self._workers.values())
        return tuple(presence for presence in found if presence is not None)

    def living(self) -> tuple[KernelSpec, ...]:
        """Return what was asked for by the kernels that hold resources."""
        found = (worker.living() for worker in self._workers.values())
        return tuple(spec for spec in found if spec is not None)

    def wake(self, kernel_id: str) -> None:
        """Let a kernel's worker look again: its reports have been accepted."""
        if kernel_id in self._workers:
            self._workers[kernel_id].wake()

    async def stop(self) -> None:
        """Let go of every kernel; they go on running."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _worker(self, kernel_id: str) -> KernelWorker:
        if kernel_id not in self._workers:
            worker = KernelWorker(
                kernel_id,
                journal=self._journal,
                runtime=self._runtime,
                make_job=self._make_job,
                clock=self._clock,
                launches=self._launches,
                on_change=self._on_change,
            )
            self._workers[kernel_id] = worker
            self._tasks[kernel_id] = asyncio.create_task(self._serve(kernel_id, worker))
        return self._workers[kernel_id]

    async def _serve(self, kernel_id: str, worker: KernelWorker) -> None:
        while True:
            try:
                await worker.run()
            except (OSError, sqlite3.Error):
                # A full disk or a vanished group: this kernel waits, the others go on.
                _log.exception("kernel_step_failed", kernel=kernel_id, retry_s=RETRY_S)
                await worker.wait_woken(RETRY_S)
                continue
            if worker.is_done():
                break
        del self._workers[kernel_id]
        del self._tasks[kernel_id]
        self._on_change()
        await self._purge()

    async def _purge(self) -> None:
        try:
            for key in await self._journal.purgeable(self._logs_kept):
                await self._runtime.remove(key)
                await self._journal.purged(key)
        except (OSError, sqlite3.Error):
            _log.exception("purge_failed")
