"""The process that estimates starts, as the one who asks has it: begun when there is a question."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Final

import msgspec

from services.scheduler.forecast.estimate import Wait
from services.scheduler.forecasting import MODULE, Question, parts
from shared.observability.logging import get_logger

log = get_logger(__name__)

ANSWER_S: Final = 60.0
LINE_MAX: Final = 1 << 20


class Forecaster:
    """Asks one question at a time."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Return the process's number, None when there is none."""
        return None if self._process is None else self._process.pid

    async def ask(self, question: Question) -> dict[str, Wait] | None:
        """Return for how long those wanted will wait; None when that took too long, or failed."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await self._ask(question)
        except (OSError, EOFError, TimeoutError, msgspec.DecodeError) as problem:
            log.warning("starts_not_estimated", problem=repr(problem))
            await self.close()
            return None

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, question: Question) -> dict[str, Wait]:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                MODULE,
                stdin=PIPE,
                stdout=PIPE,
                limit=LINE_MAX,
                start_new_session=True,  # it ends with its input, and by no other signal
            )
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise EOFError("no pipes")
        for part in parts(question):
            process.stdin.write(part)
            await process.stdin.drain()
            await asyncio.sleep(0)  # commits go first
        line = await process.stdout.readline()
        return msgspec.json.decode(line, type=dict[str, Wait])
