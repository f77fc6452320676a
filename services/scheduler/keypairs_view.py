"""Whose keypairs there are and which policy holds for each, from the users service's events."""

from collections.abc import Iterator
from typing import NamedTuple

from shared.contracts.base import Event
from shared.contracts.users import (
    KeypairDeleted,
    KeypairIssued,
    KeypairPolicyAssigned,
    UserMainKeypairSwitched,
)
from shared.kernel.rejections import FieldError


class _Keypair(NamedTuple):
    user_id: str
    policy: str
    is_deleted: bool = False


class KeypairsView:
    """Keypairs by access key; one that is deleted still binds the sessions that it started."""

    def __init__(self) -> None:
        self._keypairs: dict[str, _Keypair] = {}
        self._main: dict[str, str] = {}
        self._under: dict[str, set[str]] = {}

    def apply(self, event: Event) -> str | None:
        """Take in the next event; return the access key that another policy holds for, if any."""
        match event:
            case KeypairIssued():
                if event.is_main:
                    self._main[event.user_id] = event.access_key
                return self._assign(
                    event.access_key, _Keypair(event.user_id, event.resource_policy)
                )
            case KeypairPolicyAssigned():
                known = self._keypairs[event.access_key]
                self._under[known.policy].discard(event.access_key)
                return self._assign(event.access_key, known._replace(policy=event.resource_policy))
            case UserMainKeypairSwitched():
                self._main[event.user_id] = event.access_key
            case KeypairDeleted():
                known = self._keypairs[event.access_key]
                self._keypairs[event.access_key] = known._replace(is_deleted=True)
        return None

    def main_of(self, user_id: str) -> str | None:
        """Return the access key that counts where a user names none."""
        return self._main.get(user_id)

    def policy_of(self, access_key: str) -> str | None:
        """Return the name of the policy that holds for a keypair."""
        known = self._keypairs.get(access_key)
        return known.policy if known else None

    def under(self, policy: str) -> tuple[str, ...]:
        """Return the access keys that a policy holds for."""
        return tuple(self._under.get(policy, ()))

    def all(self) -> Iterator[str]:
        """Walk the access keys of all keypairs there have ever been."""
        return iter(self._keypairs)

    def problem(self, user_id: str, access_key: str) -> FieldError | None:
        """Return why a user may not have sessions under a keypair."""
        known = self._keypairs.get(access_key)
        if known is None or known.is_deleted or known.user_id != user_id:
            message = f"The user has no keypair {access_key[:64]}."
            return FieldError("access_key", "keypair_not_found", message)
        return None

    def _assign(self, access_key: str, keypair: _Keypair) -> str:
        self._keypairs[access_key] = keypair
        self._under.setdefault(keypair.policy, set()).add(access_key)
        return access_key
