"""Keypairs: events, commands and queries. A secret appears in none of the events."""

from typing import ClassVar, TypeAlias

from msgspec import UNSET, UnsetType

from shared.contracts.base import Command, Event, Query
from shared.contracts.users.types import KeypairStatus


class KeypairEvent(Event, frozen=True):
    """What the events of a keypair have in common."""

    AGGREGATE: ClassVar[str] = "keypair"
    access_key: str
    user_id: str

    def key(self) -> str:
        """Return the access key."""
        return self.access_key


class KeypairIssued(KeypairEvent, frozen=True, tag="KeypairIssued"):
    """A credential for programs exists; its secret stays sealed in the users service."""

    is_main: bool
    status: KeypairStatus
    resource_policy: str
    rate_limit: int | None


class KeypairActivated(KeypairEvent, frozen=True, tag="KeypairActivated"):
    """A keypair is good for signing requests again."""


class KeypairDeactivated(KeypairEvent, frozen=True, tag="KeypairDeactivated"):
    """A keypair is not good for signing requests any more."""


class KeypairPolicyAssigned(KeypairEvent, frozen=True, tag="KeypairPolicyAssigned"):
    """A keypair policy holds for a keypair."""

    resource_policy: str


class KeypairRateLimitSet(KeypairEvent, frozen=True, tag="KeypairRateLimitSet"):
    """A keypair may make so many requests in any 900 s; null is unlimited."""

    rate_limit: int | None


class KeypairDeleted(KeypairEvent, frozen=True, tag="KeypairDeleted"):
    """A keypair and its secret are gone for ever."""


class KeypairSecretRevealed(KeypairEvent, frozen=True, tag="KeypairSecretRevealed"):
    """Somebody (the actor) was shown a keypair's secret."""


class KeypairRateLimited(KeypairEvent, frozen=True, tag="KeypairRateLimited"):
    """A keypair has begun to be refused; told once a burst, not for each request."""

    limit: int


class IssueKeypair(Command, frozen=True, tag="IssueKeypair"):
    """Give a user one more keypair; what is absent is as in the user's main keypair.

    The result holds `access_key` and `sealed_secret_key` (transport key).
    """

    SERVICE: ClassVar = "users"
    user_id: str
    resource_policy: str | UnsetType = UNSET
    rate_limit: int | UnsetType | None = UNSET


class ChangeKeypair(Command, frozen=True, tag="ChangeKeypair"):
    """Change what is given of a keypair, all of it or nothing."""

    SERVICE: ClassVar = "users"
    access_key: str
    status: KeypairStatus | UnsetType = UNSET
    resource_policy: str | UnsetType = UNSET
    rate_limit: int | UnsetType | None = UNSET


class SwitchMainKeypair(Command, frozen=True, tag="SwitchMainKeypair"):
    """Make an active keypair its user's main one (403 `keypair_inactive` otherwise)."""

    SERVICE: ClassVar = "users"
    access_key: str


class DeleteKeypair(Command, frozen=True, tag="DeleteKeypair"):
    """Delete a keypair: 403 `keypair_main`, 409 `keypair_active`."""

    SERVICE: ClassVar = "users"
    access_key: str


class RevealKeypair(Command, frozen=True, tag="RevealKeypair"):
    """Show a keypair's secret to the actor; the result holds `sealed_secret_key`."""

    SERVICE: ClassVar = "users"
    access_key: str


class ReportRateLimited(Command, frozen=True, tag="ReportRateLimited"):
    """Say that a burst of a keypair is being refused; repeated within 900 s it changes nothing."""

    SERVICE: ClassVar = "users"
    access_key: str
    limit: int


class ResealSecrets(Command, frozen=True, tag="ResealSecrets"):
    """Seal every secret under the newest master key, without changing any of them.

    The result holds `key_version` and the numbers of secrets that were `resealed`, that are
    `remaining` because the time was over (ask again), and that are `unreadable`.
    """

    SERVICE: ClassVar = "users"


class GetKeypairSecrets(Query, frozen=True, tag="GetKeypairSecrets"):
    """Ask for keypair secrets, to check signatures.

    Answer: `{"secrets": {access_key: sealed secret (transport key) | null when unknown}}`.
    """

    SERVICE: ClassVar = "users"
    access_keys: tuple[str, ...]


KeypairsEvent: TypeAlias = (
    KeypairIssued
    | KeypairActivated
    | KeypairDeactivated
    | KeypairPolicyAssigned
    | KeypairRateLimitSet
    | KeypairDeleted
    | KeypairSecretRevealed
    | KeypairRateLimited
)
KeypairsCommand: TypeAlias = (
    IssueKeypair
    | ChangeKeypair
    | SwitchMainKeypair
    | DeleteKeypair
    | RevealKeypair
    | ReportRateLimited
    | ResealSecrets
)
