"""The keys that open personal data, for the projection of users."""

from collections.abc import Mapping
from typing import Final

import msgspec

from shared.contracts.base import Sealed
from shared.contracts.users import GetPersonKeys
from shared.kernel.rejections import Rejection
from shared.messaging.queries import QueryClient
from shared.projections.projection import NotYet

ASK_TIMEOUT_S: Final = 3.0
_BATCH: Final = 1_000


class _Answer(msgspec.Struct):
    keys: dict[str, Sealed | None]


class FetchPersonKeys:
    """Asks the users service; raises NotYet while it is away, so that nothing is guessed."""

    def __init__(self, queries: QueryClient) -> None:
        self._queries = queries

    async def __call__(self, user_ids: tuple[str, ...]) -> Mapping[str, Sealed | None]:
        """Return the sealed key of each person, None for one who was erased."""
        found: dict[str, Sealed | None] = {}
        for start in range(0, len(user_ids), _BATCH):
            query = GetPersonKeys(user_ids=user_ids[start : start + _BATCH])
            answer = await self._queries.ask(query, type=_Answer, timeout_s=ASK_TIMEOUT_S)
            if isinstance(answer, Rejection):
                raise NotYet(f"the keys of persons can't be had: {answer.code}")
            found.update(answer.keys)
        return found
