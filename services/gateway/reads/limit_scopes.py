"""From policies and use to limits: what each scope allows, what is used of it, and what binds.

Pure: everything that has been read comes in as arguments.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from services.gateway.documents.limits import (
    BindingLimit,
    LimitDocument,
    LimitScope,
    ScopeLimits,
)
from services.gateway.reads.occupancy import Use
from shared.kernel.slots import Limits, Slots, amount_of, limits_of, render_amount

TOTAL: Final = "total_resource_slots"
PENDING_SLOTS: Final = "max_pending_session_resource_slots"
CONCURRENT: Final = "max_concurrent_sessions"
PENDING: Final = "max_pending_session_count"
# each session meets these by itself
PER_SESSION: Final = (
    "max_containers_per_session",
    "max_priority",
    "max_session_lifetime",
    "idle_timeout",
)
USER_FIELDS: Final = (
    "max_folder_count",
    "max_quota_scope_size",
    "max_session_count_per_model_session",
    "max_customized_image_count",
)
PROJECT_FIELDS: Final = ("max_folder_count", "max_quota_scope_size", "max_network_count")
Document = Mapping[str, Any]


def of_keypair(
    keypair: Document, policy: Document | None, use: Use, slots: Iterable[str]
) -> ScopeLimits:
    """Return the limits of a keypair; `slots` are those that the cluster has.

    Without a policy, as it has not been followed yet, a keypair starts nothing.
    """
    if policy is None:
        return _scope("keypair", keypair, None, [_count(CONCURRENT, 0, use.sessions)])
    limits = [
        *_slots(TOTAL, complete(policy, {*slots, *use.held}), use.held),
        *_slots(PENDING_SLOTS, limits_of(policy[PENDING_SLOTS]), use.waiting),
        _count(CONCURRENT, policy[CONCURRENT], use.sessions),
        _count(PENDING, policy[PENDING], use.pending),
        _count("max_concurrent_sftp_sessions", policy["max_concurrent_sftp_sessions"], 0),
        *(_ceiling(name, policy[name]) for name in PER_SESSION),
    ]
    return _scope("keypair", keypair, policy, limits)


def of_user(user: Document, policy: Document | None, use: Use, slots: Iterable[str]) -> ScopeLimits:
    """Return the limits of a user, and what all of the user's keypairs use together."""
    limits = [
        *_slots(TOTAL, dict.fromkeys({*slots, *use.held}), use.held),
        _count(CONCURRENT, None, use.sessions),
        _count(PENDING, None, use.pending),
        *_unmeasured(policy, USER_FIELDS),
    ]
    return _scope("user", user, policy, limits)


def of_project(
    project: Document, policy: Document | None, use: Use, slots: Iterable[str]
) -> ScopeLimits:
    """Return the limits of a project."""
    limits = [
        *_slots(TOTAL, _given(project, {*slots, *use.held}), use.held),
        *_unmeasured(policy, PROJECT_FIELDS),
    ]
    return _scope("project", project, policy, limits)


def of_domain(domain: Document, use: Use, slots: Iterable[str]) -> ScopeLimits:
    """Return the limits of a domain."""
    limits = _slots(TOTAL, _given(domain, {*slots, *use.held}), use.held)
    return _scope("domain", domain, None, limits)


def withheld(found: ScopeLimits) -> ScopeLimits:
    """Return a scope without its numbers."""
    return msgspec.structs.replace(found, visible=False, limits=[])


def binding(scopes: Sequence[ScopeLimits]) -> list[BindingLimit]:
    """Return for each field, or slot, the scope that leaves least; the first of equals."""
    least: dict[tuple[str, str], tuple[int, BindingLimit]] = {}
    for scope in scopes:
        for limit in scope.limits:
            if limit.remaining is None:
                continue
            key = (limit.field, limit.slot or "")
            amount = _number(limit)
            if key not in least or amount < least[key][0]:
                bound = BindingLimit(
                    field=limit.field,
                    slot=limit.slot,
                    scope=scope.scope,
                    id=scope.id,
                    remaining=limit.remaining,
                )
                least[key] = (amount, bound)
    return [bound for _, bound in least.values()]


def complete(policy: Document, slots: Iterable[str]) -> Limits:
    """Return the limits of a keypair policy for all of these slots, as it means them."""
    nothing = 0 if policy["default_for_unspecified"] == "limited" else None
    return {**dict.fromkeys(slots, nothing), **limits_of(policy[TOTAL])}


def _scope(
    scope: LimitScope, about: Document, policy: Document | None, limits: Iterable[LimitDocument]
) -> ScopeLimits:
    name = {"keypair": "access_key", "user": "email"}.get(scope, "name")
    return ScopeLimits(
        scope=scope,
        id=about["id"],
        name=about[name] or about["id"],
        policy=None if policy is None else policy["name"],
        limits=list(limits),
    )


def _given(tenant: Document, slots: Iterable[str]) -> Limits:
    return {**dict.fromkeys(slots), **limits_of(tenant[TOTAL])}


def _slots(field: str, limits: Limits, used: Slots) -> Iterable[LimitDocument]:
    for slot in sorted(limits):
        limit, amount = limits[slot], used.get(slot, 0)
        yield LimitDocument(
            field=field,
            slot=slot,
            limit=None if limit is None else render_amount(slot, limit),
            used=render_amount(slot, amount),
            remaining=None if limit is None else render_amount(slot, max(limit - amount, 0)),
        )


def _count(field: str, limit: int | None, used: int) -> LimitDocument:
    remaining = None if limit is None else max(limit - used, 0)
    return LimitDocument(field=field, limit=limit, used=used, remaining=remaining)


def _ceiling(field: str, limit: int | None) -> LimitDocument:
    return LimitDocument(field=field, limit=limit, used=None, remaining=limit)


def _unmeasured(policy: Document | None, fields: Iterable[str]) -> Iterable[LimitDocument]:
    if policy is None:
        return
    for field in fields:
        yield LimitDocument(field=field, limit=policy[field], used=None, remaining=None)


def _number(limit: LimitDocument) -> int:
    if limit.slot is not None and isinstance(limit.remaining, str):
        return amount_of(limit.slot, limit.remaining)
    return int(limit.remaining or 0)
