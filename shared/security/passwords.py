"""Password hashes: argon2id in a bounded pool of threads, never on the event loop.

Defaults are RFC 9106's second recommended choice (64 MiB, 3 passes, 4 lanes), about 0.15 s on two
cores. As many hashes as there are workers run at once, so 64 MiB each is all the memory it takes;
further callers wait in a bounded queue. A caller that goes away while waiting leaves the queue and
costs nothing.
"""

import asyncio
import base64
import math
import os
import secrets
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from shared.kernel.rejections import Rejection, unavailable
from shared.observability.metrics import counter

T = TypeVar("T")
_LONGEST_PASSWORD: Final = 4096
NICE: Final = 15  # two hashes of four lanes together weigh less than a third of an event loop
ARGON2_VERSION: Final = 19

_work = counter(
    "password_work_total", "Passwords hashed or checked, by what became of it.", ("outcome",)
)


class PasswordParameters(NamedTuple):
    """The cost of one hash; a stored hash with other parameters is renewed at the next log-in."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


class Verdict(NamedTuple):
    """Whether a password is right, and whether its hash should be renewed."""

    matches: bool
    outdated: bool = False


class PasswordHasher:
    """Hashes and checks passwords; when it is busy the answer is a refusal (`unavailable`)."""

    def __init__(
        self,
        parameters: PasswordParameters = PasswordParameters(),  # noqa: B008  # immutable
        *,
        workers: int = 2,
        max_waiting: int = 64,
        max_wait_s: float = 10,
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=parameters.passes,
            memory_cost=parameters.memory_kib,
            parallelism=parameters.lanes,
        )
        self._pool = ThreadPoolExecutor(
            workers, thread_name_prefix="argon2", initializer=_yield_to_others
        )
        self._slots = asyncio.Semaphore(workers)
        self._workers = workers
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._waiting = 0
        self._last_s = 0.2
        self._nobody = _hash_of_nobody(parameters)

    @property
    def waiting(self) -> int:
        """Return how many callers wait for a worker."""
        return self._waiting

    async def hash(self, password: str, *, wait_s: float | None = None) -> str | Rejection:
        """Return the encoded hash of a password, or `unavailable` when the queue is full.

        `wait_s` is how long the caller's own caller still waits for its turn to come.
        """
        return await self._work(partial(self._argon2.hash, _normal(password)), wait_s)

    async def verify(
        self, encoded: str | None, password: str, *, wait_s: float | None = None
    ) -> Verdict | Rejection:
        """Check a password against its stored hash, or `unavailable` when the queue is full.

        `encoded` is None for somebody unknown: the answer is no and costs as much as a real one.
        """
        return await self._work(partial(self._check, encoded, password), wait_s)

    def close(self) -> None:
        """Stop the workers; what is queued is not started any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, encoded: str | None, password: str) -> Verdict:
        known = self._nobody if encoded is None else encoded
        try:
            self._argon2.verify(known, _normal(password))
        except VerifyMismatchError:
            return Verdict(matches=False)
        except (VerificationError, InvalidHashError) as error:
            # Stored by us and not readable: a fault of ours that must be seen, no wrong password.
            raise ValueError("a stored password hash cannot be read") from error
        return Verdict(matches=encoded is not None, outdated=self._argon2.check_needs_rehash(known))

    async def _work(self, work: "partial[T]", wait_s: float | None) -> T | Rejection:
        if self._waiting >= self._max_waiting:
            return self._busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(min(self._max_wait_s, wait_s or self._max_wait_s)):
                await self._slots.acquire()
        except TimeoutError:
            return self._busy()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            running = loop.run_in_executor(self._pool, work)
        except RuntimeError:  # the pool is closed: the service is stopping
            self._slots.release()
            return self._busy()
        running.add_done_callback(lambda _: self._slots.release())
        _work.labels("taken").inc()
        # A thread cannot be interrupted: its slot stays taken until it is really free again.
        done = await asyncio.shield(running)
        self._last_s = loop.time() - started
        return done

    def _busy(self) -> Rejection:
        _work.labels("refused").inc()
        wait_s = math.ceil(self._waiting / self._workers * self._last_s) or 1
        return unavailable(
            "passwords_busy", "Too many passwords are being checked; try again soon.", wait_s
        )


def _yield_to_others() -> None:
    """Let the event loops of this machine go first: a hash is never the most urgent work."""
    if sys.platform == "linux":  # where a thread has a priority of its own; its lanes inherit it
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def _hash_of_nobody(parameters: PasswordParameters) -> str:
    """Return a well-formed hash that no password has, as costly to check as a real one."""
    memory_kib, passes, lanes = parameters
    salt, tag = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (argon2.DEFAULT_RANDOM_SALT_LENGTH, argon2.DEFAULT_HASH_LENGTH)
    )
    return f"$argon2id$v={ARGON2_VERSION}$m={memory_kib},t={passes},p={lanes}${salt}${tag}"


def _normal(password: str) -> bytes:
    """Return the bytes to hash; the same characters typed on another keyboard give the same."""
    return unicodedata.normalize("NFKC", password[:_LONGEST_PASSWORD]).encode(
        "utf-8", "surrogatepass"
    )
