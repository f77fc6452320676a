"""A keypair policy: the limits of whoever works with a keypair. Null is unlimited, 0 is zero."""

import msgspec

from services.policies.domain.limits import amount_errors, limit_errors, name_errors
from shared.contracts.base import Event
from shared.contracts.policies import KeypairPolicyCreated, PoliciesEvent
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict

PRIORITY_MAX = 100


class KeypairPolicy(msgspec.Struct, frozen=True):
    """What is known of a policy; `name` is None before it exists."""

    name: str | None = None


INITIAL = KeypairPolicy()


def evolve(state: KeypairPolicy, event: Event) -> KeypairPolicy:
    """Return the policy after an event."""
    if isinstance(event, KeypairPolicyCreated):
        return KeypairPolicy(name=event.name)
    return state


def decide(
    state: KeypairPolicy, wish: KeypairPolicyCreated, _context: None = None
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Create a policy once, when every value is within its range; the wish is the event."""
    if state.name is not None:
        return conflict("policy_exists", f"There is a keypair policy '{state.name}' already.")
    errors = [
        *name_errors(wish.name),
        *limit_errors("total_resource_slots", wish.total_resource_slots),
        *limit_errors(
            "max_pending_session_resource_slots", wish.max_pending_session_resource_slots
        ),
        *amount_errors(
            {
                "max_session_lifetime": wish.max_session_lifetime,
                "max_concurrent_sessions": wish.max_concurrent_sessions,
                "max_pending_session_count": wish.max_pending_session_count,
                "max_concurrent_sftp_sessions": wish.max_concurrent_sftp_sessions,
                "max_containers_per_session": wish.max_containers_per_session,
                "idle_timeout": wish.idle_timeout,
                "max_priority": wish.max_priority,
            }
        ),
    ]
    if wish.max_priority is not None and wish.max_priority > PRIORITY_MAX:
        text = f"A priority is at most {PRIORITY_MAX}."
        errors.append(FieldError("max_priority", "too_large", text))
    return all_invalid(tuple(errors)) if errors else (wish,)
