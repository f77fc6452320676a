"""The secrets of keypairs, to check signatures: asked for once, then kept in memory only."""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from shared.contracts.base import Sealed
from shared.contracts.users import GetKeypairSecrets
from shared.kernel.rejections import Rejection
from shared.messaging.queries import QueryClient
from shared.observability.logging import get_logger
from shared.security.sealing import Keyring, SealBroken
from shared.security.transport import open_secret_key

log = get_logger(__name__)
ASK_TIMEOUT_S: Final = 2.0
_BATCH: Final = 500


class _Answer(msgspec.Struct):
    secrets: dict[str, Sealed | None]


class KeypairSecrets:
    """Opened secrets by access key; the users service is asked only for what is not here yet."""

    def __init__(self, keyring: Keyring, queries: QueryClient) -> None:
        self._keyring = keyring
        self._queries = queries
        self._opened: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[Rejection | None]] = {}

    def __repr__(self) -> str:
        """Return how many there are; none is shown."""
        return f"<KeypairSecrets of {len(self._opened)} keypairs>"

    def cached(self, access_key: str) -> str | None:
        """Return a secret if it is in memory."""
        return self._opened.get(access_key)

    async def of(self, access_key: str) -> str | Rejection | None:
        """Return a secret, None when users knows none; a Rejection when it can't be asked now."""
        known = self._opened.get(access_key)
        if known is not None:
            return known
        task = self._asking.get(access_key)
        if task is None:
            task = asyncio.create_task(self.prefetch((access_key,)))
            self._asking[access_key] = task
            task.add_done_callback(lambda _: self._asking.pop(access_key, None))
        problem = await asyncio.shield(task)
        return problem if problem is not None else self._opened.get(access_key)

    async def prefetch(self, access_keys: Iterable[str]) -> Rejection | None:
        """Ask for the secrets that are missing; returns why not all could be had."""
        missing = [key for key in access_keys if key not in self._opened]
        for start in range(0, len(missing), _BATCH):
            batch = tuple(missing[start : start + _BATCH])
            query = GetKeypairSecrets(access_keys=batch)
            answer = await self._queries.ask(query, type=_Answer, timeout_s=ASK_TIMEOUT_S)
            if isinstance(answer, Rejection):
                log.info("keypair_secrets_away", code=answer.code, missing=len(missing) - start)
                return answer
            for access_key, sealed in answer.secrets.items():
                self._take(access_key, sealed)
        return None

    def _take(self, access_key: str, sealed: Sealed | None) -> None:
        try:
            if sealed is not None:
                self.put(access_key, sealed)
        except SealBroken as problem:  # that key can't be used; the others can
            log.error("keypair_secret_broken", problem=str(problem))  # noqa: TRY400  # no trace

    def put(self, access_key: str, sealed: Sealed) -> None:
        """Open and keep what the users service handed out."""
        self._opened[access_key] = open_secret_key(self._keyring, access_key, sealed)

    def forget(self, access_key: str) -> None:
        """Drop a secret."""
        self._opened.pop(access_key, None)
