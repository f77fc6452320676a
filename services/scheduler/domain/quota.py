"""What a keypair policy lets into a queue; what it lets run is the ledgers' matter."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from services.scheduler.domain.scopes import keypair_scope
from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    LifetimeBase,
    Unspecified,
)
from shared.contracts.scheduler import EnqueueSession, Violation
from shared.kernel.rejections import FieldError, Rejection
from shared.kernel.slots import Limits, Slots, excess, is_bytes, multiply, render_amount, say_amount

CODE: Final = "quota_exceeded"
KeypairPolicyFact = KeypairPolicyCreated | KeypairPolicyChanged | KeypairPolicyDeleted


class KeypairLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a keypair policy says about sessions; null is unlimited."""

    name: str
    default_for_unspecified: Unspecified = "unlimited"
    total_resource_slots: Limits = {}
    max_concurrent_sessions: int | None = None
    max_pending_session_count: int | None = None
    max_pending_session_resource_slots: Limits = {}
    max_containers_per_session: int | None = None
    max_priority: int | None = None
    max_session_lifetime: int | None = None
    lifetime_base: LifetimeBase = "started"
    idle_timeout: int | None = None


class PendingUse(NamedTuple):
    """How many sessions of a keypair wait, and for how much in all."""

    sessions: int = 0
    slots: Slots = {}


def evolve(state: KeypairLimits | None, event: KeypairPolicyFact) -> KeypairLimits:
    """Return the limits after an event; of a deleted policy the last ones are kept.

    Whatever still runs under a keypair that is gone too stays bound by them.
    """
    if isinstance(event, KeypairPolicyDeleted):
        if state is None:
            raise ValueError(f"{event.name} is deleted and never was created")
        return state
    given = {
        name: value
        for name in KeypairLimits.__struct_fields__
        if (value := getattr(event, name)) is not msgspec.UNSET
    }
    if isinstance(event, KeypairPolicyCreated):
        return KeypairLimits(**given)
    if state is None:
        raise ValueError(f"{event.name} is changed and never was created")
    return msgspec.structs.replace(state, **given)


def exceeded(
    command: EnqueueSession, access_key: str, limits: KeypairLimits, pending: PendingUse
) -> Rejection | None:
    """Return the refusal of what would be over a limit; everything that would be is said."""
    found = [*_sizes_over(command, limits), *_pending_over(command, limits, pending)]
    if not found:
        return None
    errors = tuple(FieldError(one.field, CODE, _sentence(one, limits.name)) for one in found)
    violations = [
        Violation(
            scope=keypair_scope(access_key),
            slot=one.name,
            used=one.used,
            requested=one.requested,
            limit=one.limit,
        )
        for one in found
    ]
    return Rejection(
        kind="invalid",
        code=CODE,
        message=" ".join(error.message for error in errors),
        errors=errors,
        details={"policy": limits.name, "violations": msgspec.to_builtins(violations)},
    )


class _Over(NamedTuple):
    """One limit that would be exceeded: by which field, and what it is called."""

    field: str
    limit_name: str
    name: str
    used: str | None
    requested: str
    limit: str


def _sentence(over: _Over, policy: str) -> str:
    def said(amount: str) -> str:
        return say_amount(over.name, int(amount)) if is_bytes(over.name) else amount

    waiting = "" if over.used is None else f"{said(over.used)} wait already and "
    return (
        f"The policy {policy} allows {said(over.limit)} as {over.limit_name}: "
        f"{waiting}{said(over.requested)} was asked for."
    )


def _sizes_over(command: EnqueueSession, limits: KeypairLimits) -> Iterator[_Over]:
    """Yield what is too large whatever else there is."""
    for field, limit_name, asked, limit in (
        ("priority", "max_priority", command.priority or 0, limits.max_priority),
        (
            "cluster_size",
            "max_containers_per_session",
            command.cluster_size,
            limits.max_containers_per_session,
        ),
    ):
        if limit is not None and asked > limit:
            yield _Over(field, limit_name, limit_name, None, str(asked), str(limit))


def _pending_over(
    command: EnqueueSession, limits: KeypairLimits, pending: PendingUse
) -> Iterator[_Over]:
    """Yield what is too much together with what waits already."""
    limit = limits.max_pending_session_count
    if limit is not None and pending.sessions + command.count > limit:
        name = "max_pending_session_count"
        yield _Over("count", name, name, str(pending.sessions), str(command.count), str(limit))
    ceilings = limits.max_pending_session_resource_slots
    if not ceilings:
        return
    asked = multiply(command.resources, command.cluster_size * command.count)
    together = {slot: pending.slots.get(slot, 0) + n for slot, n in asked.items() if n > 0}
    for slot in sorted(excess(together, ceilings)):
        yield _Over(
            f"resources.{slot}",
            f"max_pending_session_resource_slots ({slot})",
            slot,
            render_amount(slot, pending.slots.get(slot, 0)),
            render_amount(slot, asked[slot]),
            render_amount(slot, ceilings[slot] or 0),
        )
