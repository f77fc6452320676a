"""A keypair: what a program signs its requests with.

Which of a user's keypairs is the main one, and who its user is, lies outside the keypair's own
stream: the facts say so, and whoever appends makes sure that they still hold.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from shared.contracts.base import Event
from shared.contracts.users import (
    ChangeKeypair,
    DeleteKeypair,
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairPolicyAssigned,
    KeypairRateLimited,
    KeypairRateLimitSet,
    KeypairSecretRevealed,
    KeypairStatus,
    ReportRateLimited,
    RevealKeypair,
    SwitchMainKeypair,
    UserMainKeypairSwitched,
    UsersEvent,
)
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict, not_found

DEFAULT_RATE_LIMIT = 10_000
ADMINISTRATOR_RATE_LIMIT = 30_000
RATE_LIMIT_MAX = 1_000_000
BURST = timedelta(seconds=900)


class Keypair(msgspec.Struct, frozen=True):
    """What is known of a keypair; `access_key` is None before it exists and when it is deleted."""

    access_key: str | None = None
    user_id: str = ""
    status: KeypairStatus = "inactive"
    resource_policy: str = ""
    rate_limit: int | None = None
    is_deleted: bool = False


class NewKeypair(msgspec.Struct, frozen=True, kw_only=True):
    """The wish for a new keypair; `rate_limit` counts requests in 900 s, None is unlimited."""

    access_key: str
    user_id: str
    resource_policy: str
    is_main: bool = False
    rate_limit: int | None = DEFAULT_RATE_LIMIT


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision rests on beside the keypair's own events.

    `main` is the access key of the user's main keypair. `policy_exists` is about the policy that
    the command names. `limited_at` is when it was last told that the keypair is being refused,
    `now` is the time of the decision.
    """

    main: str | None = None
    user_is_erased: bool = False
    policy_exists: bool = True
    limited_at: datetime | None = None
    now: datetime | None = None


INITIAL = Keypair()
NO_FACTS = Facts()
KeypairCommand: TypeAlias = (
    NewKeypair
    | ChangeKeypair
    | SwitchMainKeypair
    | DeleteKeypair
    | RevealKeypair
    | ReportRateLimited
)


def evolve(state: Keypair, event: Event) -> Keypair:
    """Return the keypair after an event."""
    change = msgspec.structs.replace
    match event:
        case KeypairIssued():
            return Keypair(
                access_key=event.access_key,
                user_id=event.user_id,
                status=event.status,
                resource_policy=event.resource_policy,
                rate_limit=event.rate_limit,
            )
        case KeypairActivated():
            return change(state, status="active")
        case KeypairDeactivated():
            return change(state, status="inactive")
        case KeypairPolicyAssigned():
            return change(state, resource_policy=event.resource_policy)
        case KeypairRateLimitSet():
            return change(state, rate_limit=event.rate_limit)
        case KeypairDeleted():
            return Keypair(user_id=state.user_id, is_deleted=True)
    return state


def decide(
    state: Keypair, command: KeypairCommand, context: Facts | None = None
) -> tuple[UsersEvent, ...] | Rejection:
    """Decide one command; what is asked for and is so already changes nothing."""
    facts = context or NO_FACTS
    if isinstance(command, NewKeypair):
        return _issue(state, command, facts)
    if state.access_key is None:
        return not_found("keypair", command.access_key[:64])
    match command:
        case ChangeKeypair():
            return _change(state, command, facts)
        case SwitchMainKeypair():
            return _switch(state, facts)
        case DeleteKeypair():
            return _delete(state, facts)
        case RevealKeypair():
            return (KeypairSecretRevealed(access_key=state.access_key, user_id=state.user_id),)
        case ReportRateLimited():
            return _report(state, command, facts)


def _issue(state: Keypair, wish: NewKeypair, facts: Facts) -> tuple[UsersEvent, ...] | Rejection:
    if state.access_key is not None or state.is_deleted:
        return conflict("keypair_exists", f"There is a keypair '{wish.access_key}' already.")
    if facts.user_is_erased:
        return conflict("user_erased", "The user is erased for ever and gets no keypairs.")
    errors = (*_policy_error(wish.resource_policy, facts), *_limit_error(wish.rate_limit))
    if errors:
        return all_invalid(errors)
    return (
        KeypairIssued(
            access_key=wish.access_key,
            user_id=wish.user_id,
            is_main=wish.is_main,
            status="active",
            resource_policy=wish.resource_policy,
            rate_limit=wish.rate_limit,
        ),
    )


def _change(
    state: Keypair, command: ChangeKeypair, facts: Facts
) -> tuple[UsersEvent, ...] | Rejection:
    errors: list[FieldError] = []
    whose = {"access_key": command.access_key, "user_id": state.user_id}
    events: list[UsersEvent] = []
    if command.status is not UNSET and command.status != state.status:
        kind = KeypairActivated if command.status == "active" else KeypairDeactivated
        events.append(kind(**whose))
    policy = command.resource_policy
    if policy is not UNSET and policy != state.resource_policy:
        errors.extend(_policy_error(policy, facts))
        events.append(KeypairPolicyAssigned(**whose, resource_policy=policy))
    limit = command.rate_limit
    if limit is not UNSET and limit != state.rate_limit:
        errors.extend(_limit_error(limit))
        events.append(KeypairRateLimitSet(**whose, rate_limit=limit))
    if facts.user_is_erased and events:
        return conflict("user_erased", "The user is erased for ever; the keypair stays as it is.")
    return all_invalid(tuple(errors)) if errors else tuple(events)


def _switch(state: Keypair, facts: Facts) -> tuple[UsersEvent, ...] | Rejection:
    if state.status != "active" or state.access_key is None:
        text = "Only an active keypair can be the main one; activate it first."
        return Rejection(kind="forbidden", code="keypair_inactive", message=text)
    if facts.main == state.access_key:
        return ()
    switched = UserMainKeypairSwitched(
        user_id=state.user_id, access_key=state.access_key, previous=facts.main
    )
    return (switched,)


def _delete(state: Keypair, facts: Facts) -> tuple[UsersEvent, ...] | Rejection:
    if state.access_key is None or state.access_key == facts.main:
        text = "The main keypair of a user can't be deleted; make another one the main one first."
        return Rejection(kind="forbidden", code="keypair_main", message=text)
    if state.status == "active":
        return conflict("keypair_active", "The keypair is active; deactivate it first.")
    return (KeypairDeleted(access_key=state.access_key, user_id=state.user_id),)


def _report(
    state: Keypair, command: ReportRateLimited, facts: Facts
) -> tuple[UsersEvent, ...] | Rejection:
    if facts.now is None:
        raise ValueError("whether a burst is a new one depends on the time")
    if facts.limited_at is not None and facts.now - facts.limited_at < BURST:
        return ()
    who = {"access_key": command.access_key, "user_id": state.user_id}
    return (KeypairRateLimited(**who, limit=command.limit),)


def _policy_error(policy: str, facts: Facts) -> Iterator[FieldError]:
    if not facts.policy_exists:
        text = f"There is no keypair policy '{policy[:64]}'."
        yield FieldError("resource_policy", "unknown_policy", text)


def _limit_error(limit: int | None) -> Iterator[FieldError]:
    if limit is not None and limit < 0:
        text = "A rate limit is 0 or more, or null for unlimited."
        yield FieldError("rate_limit", "negative", text)
    if limit is not None and limit > RATE_LIMIT_MAX:
        text = f"A rate limit is at most {RATE_LIMIT_MAX}, or null for unlimited."
        yield FieldError("rate_limit", "too_large", text)
