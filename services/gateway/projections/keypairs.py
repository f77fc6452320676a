"""Keypairs as documents: pure folds of the users service's events."""

from datetime import datetime
from typing import Final

from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.projections.tables import Column, times
from services.gateway.projections.versions import VersionedTable
from shared.contracts.users import (
    KeypairActivated,
    KeypairDeactivated,
    KeypairEvent,
    KeypairIssued,
    KeypairPolicyAssigned,
    KeypairRateLimitSet,
)

KEYPAIRS: Final = VersionedTable(
    "keypairs",
    KeypairDocument,
    (
        Column("access_key", "text", lambda keypair: keypair.access_key),
        Column("user_id", "text", lambda keypair: keypair.user_id),
        Column("domain", "text", lambda keypair: keypair.domain),
        Column("status", "text", lambda keypair: keypair.status),
        Column("resource_policy", "text", lambda keypair: keypair.resource_policy),
        Column("rate_limit", "bigint", lambda keypair: keypair.rate_limit),
        Column("is_main", "boolean", lambda keypair: keypair.is_main),
        *times(),
    ),
    tallied=("domain", "status", "resource_policy", "is_main"),
)


def keypair_issued(event: KeypairIssued, domain: str, at: datetime) -> KeypairDocument:
    """Return a new keypair's document; its domain is its user's."""
    return KeypairDocument(
        id=event.access_key,
        access_key=event.access_key,
        user_id=event.user_id,
        domain=domain,
        status=event.status,
        resource_policy=event.resource_policy,
        rate_limit=event.rate_limit,
        is_main=event.is_main,
        created_at=at,
        modified_at=at,
    )


def keypair_changed(keypair: KeypairDocument, event: KeypairEvent, at: datetime) -> None:
    """Fold what happened to a keypair; being shown or refused changes nothing about it."""
    match event:
        case KeypairActivated():
            keypair.status = "active"
        case KeypairDeactivated():
            keypair.status = "inactive"
        case KeypairPolicyAssigned():
            keypair.resource_policy = event.resource_policy
        case KeypairRateLimitSet():
            keypair.rate_limit = event.rate_limit
        case _:
            return
    keypair.modified_at = at


def main_switched(keypair: KeypairDocument, at: datetime, *, is_main: bool) -> None:
    """Fold that a keypair has become its user's main one, or no longer is."""
    if keypair.is_main is not is_main:
        keypair.is_main = is_main
        keypair.modified_at = at
