"""A keypair policy: the limits of whoever works with a keypair. Null is unlimited, 0 is zero."""

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from services.policies.domain.limits import (
    amount_errors,
    changes,
    created,
    refused,
    slot_errors,
)
from services.policies.domain.maxima import Maxima, maximum_errors
from shared.contracts.base import Event
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    CreateKeypairPolicy,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
    PoliciesEvent,
)
from shared.kernel.hosts import host_errors
from shared.kernel.names import name_errors
from shared.kernel.rejections import FieldError, Rejection, conflict, not_found

NAME_MAX: Final = 64
PRIORITY_MAX: Final = 100
_COUNTS: Final = (
    "max_session_lifetime",
    "max_concurrent_sessions",
    "max_pending_session_count",
    "max_concurrent_sftp_sessions",
    "max_containers_per_session",
    "idle_timeout",
)


class KeypairPolicy(msgspec.Struct, frozen=True):
    """A policy in the words in which it could be created as it is now; None: there is none."""

    values: KeypairPolicyCreated | None = None

    @property
    def is_default(self) -> bool:
        """Tell whether new keypairs get this policy."""
        return self.values is not None and self.values.is_default


KeypairPolicyCommand: TypeAlias = CreateKeypairPolicy | ChangeKeypairPolicy
INITIAL: Final = KeypairPolicy()


def evolve(state: KeypairPolicy, event: Event) -> KeypairPolicy:
    """Return the policy after an event."""
    if isinstance(event, KeypairPolicyCreated):
        return KeypairPolicy(event)
    if isinstance(event, KeypairPolicyDeleted):
        return INITIAL
    if isinstance(event, KeypairPolicyChanged) and state.values is not None:
        return KeypairPolicy(msgspec.structs.replace(state.values, **changes(state.values, event)))
    return state


def decide(
    state: KeypairPolicy, command: KeypairPolicyCommand, context: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Create a policy, or change what is given and different, within the maxima.

    Whoever appends that a policy has become the default also appends `decide_succession` of the
    one that was.
    """
    if isinstance(command, CreateKeypairPolicy):
        return _create(state, command, context)
    return _change(state, command, context)


def decide_deletion(state: KeypairPolicy, name: str) -> tuple[KeypairPolicyDeleted] | Rejection:
    """Delete a policy; that nothing uses it is for whoever asks to make sure."""
    if state.values is None:
        return not_found("keypair_policy", name[:64])
    if state.is_default:
        text = (
            f"'{name}' is the default policy, which new keypairs get; make another one the "
            "default first."
        )
        return conflict("default_policy", text)
    return (KeypairPolicyDeleted(name=name),)


def decide_succession(state: KeypairPolicy) -> tuple[PoliciesEvent, ...]:
    """Let a policy that is the default be it no more, because another one is."""
    if state.values is None or not state.is_default:
        return ()
    return (KeypairPolicyChanged(name=state.values.name, is_default=False),)


def _create(
    state: KeypairPolicy, command: CreateKeypairPolicy, maxima: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    wish = created(KeypairPolicyCreated, command)
    errors = [
        *name_errors(command.name, NAME_MAX),
        *_errors(command),
        *maximum_errors(msgspec.structs.asdict(wish), {}, maxima),
    ]
    if errors:
        return refused(errors)
    if state.values is not None:
        text = f"There is a keypair policy '{command.name}' already."
        return conflict("policy_exists", text, field="name")
    return (wish,)


def _change(
    state: KeypairPolicy, command: ChangeKeypairPolicy, maxima: Maxima
) -> tuple[PoliciesEvent, ...] | Rejection:
    if state.values is None:
        return not_found("keypair_policy", command.name[:64])
    given = changes(state.values, command)
    errors = [
        *_errors(command),
        *maximum_errors(given, state.values.total_resource_slots, maxima),
    ]
    if errors:
        return refused(errors)
    if given.get("is_default") is False:
        text = "There is always a default policy; make another one the default instead."
        return conflict("default_needed", text, field="is_default")
    return (KeypairPolicyChanged(name=command.name, **given),) if given else ()


def _errors(command: KeypairPolicyCommand) -> Iterator[FieldError]:
    for field in ("total_resource_slots", "max_pending_session_resource_slots"):
        yield from slot_errors(field, getattr(command, field))
    yield from amount_errors(command, *_COUNTS)
    yield from amount_errors(command, "max_priority", most=PRIORITY_MAX)
    yield from host_errors(command.allowed_hosts)
