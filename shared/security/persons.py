"""Personal data: each text is sealed under the key of the person it is about.

Events carry e-mail, names and descriptions only so. The keys live in a table of the users service
and travel sealed for the purpose "transport"; deleting one erases the person everywhere, and the
event log stays valid. A reader opens values like this:

    persons = PersonKeys(keyring, fetch)              # fetch asks users: GetPersonKeys
    keys = await persons.get([user_id, ...])          # one question for all that are not cached
    key = keys[user_id]                               # None: erased; say so, never guess
    email = None if key is None else open_text(key, "email", event.email)
"""

import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple

from shared.contracts.base import Sealed
from shared.security.aes import KEY_BYTES, aes_open, aes_seal
from shared.security.sealing import Keyring

TRANSPORT: Final = "transport"
_VERSION: Final = 1

FetchKeys = Callable[[tuple[str, ...]], Awaitable[Mapping[str, Sealed | None]]]


class PersonKey(NamedTuple):
    """The key of one person; it is bound to the person's id, which is authenticated too."""

    user_id: str
    secret: bytes

    def __repr__(self) -> str:
        """Return the key's owner; the key itself is never shown."""
        return f"<PersonKey of {self.user_id}>"

    @classmethod
    def generate(cls, user_id: str) -> "PersonKey":
        """Return a new random key for a person."""
        return cls(user_id, secrets.token_bytes(KEY_BYTES))

    def wrap(self, keyring: Keyring, purpose: str = TRANSPORT) -> Sealed:
        """Return the key sealed for its way to a peer, or (purpose "person-key") for its table."""
        return keyring.seal(purpose, self.secret, context=self.user_id)

    @classmethod
    def unwrap(
        cls, keyring: Keyring, user_id: str, sealed: Sealed, purpose: str = TRANSPORT
    ) -> "PersonKey":
        """Return the key of `user_id` from what `wrap` gave; SealBroken otherwise."""
        return cls(user_id, keyring.open(purpose, sealed, context=user_id))


def seal_text(key: PersonKey, field: str, text: str) -> Sealed:
    """Seal one text of a person; `field` ("email", "username", ...) is bound to it."""
    return aes_seal(_VERSION, key.secret, f"{key.user_id}\0{field}", text.encode())


def open_text(key: PersonKey, field: str, sealed: Sealed) -> str:
    """Open one text of a person; SealBroken when it is of another person, field or key."""
    return aes_open(_VERSION, key.secret, f"{key.user_id}\0{field}", sealed).decode()


class PersonKeys:
    """A bounded cache of persons' keys in front of the users service.

    An erased person is remembered as None; `forget` drops what is cached (on an erasure event).
    """

    def __init__(self, keyring: Keyring, fetch: FetchKeys, *, capacity: int = 20_000) -> None:
        self._keyring = keyring
        self._fetch = fetch
        self._capacity = capacity
        self._cached: OrderedDict[str, PersonKey | None] = OrderedDict()

    def __repr__(self) -> str:
        """Return the size of the cache; no key is shown."""
        return f"<PersonKeys cached={len(self._cached)}>"

    async def get(self, user_ids: Iterable[str]) -> dict[str, PersonKey | None]:
        """Return the key of each person, None for an erased one; errors of `fetch` pass through."""
        found: dict[str, PersonKey | None] = {}
        missing: list[str] = []
        for user_id in dict.fromkeys(user_ids):
            if user_id in self._cached:
                self._cached.move_to_end(user_id)
                found[user_id] = self._cached[user_id]
            else:
                missing.append(user_id)
        if missing:
            answered = await self._fetch(tuple(missing))
            for user_id in missing:
                found[user_id] = self.put(user_id, answered.get(user_id))
        return found

    def put(self, user_id: str, sealed: Sealed | None) -> PersonKey | None:
        """Remember the users service's answer for one person and return the opened key."""
        key = None if sealed is None else PersonKey.unwrap(self._keyring, user_id, sealed)
        self._cached[user_id] = key
        self._cached.move_to_end(user_id)
        while len(self._cached) > self._capacity:
            self._cached.popitem(last=False)
        return key

    def forget(self, user_id: str) -> None:
        """Drop a person's key from the cache."""
        self._cached.pop(user_id, None)
