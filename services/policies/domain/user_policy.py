"""A user policy: the limits of one user over all keypairs. Null is unlimited, 0 is zero."""

import msgspec

from services.policies.domain.limits import amount_errors, name_errors
from shared.contracts.base import Event
from shared.contracts.policies import PoliciesEvent, UserPolicyCreated
from shared.kernel.rejections import Rejection, all_invalid, conflict


class UserPolicy(msgspec.Struct, frozen=True):
    """What is known of a policy; `name` is None before it exists."""

    name: str | None = None


INITIAL = UserPolicy()


def evolve(state: UserPolicy, event: Event) -> UserPolicy:
    """Return the policy after an event."""
    if isinstance(event, UserPolicyCreated):
        return UserPolicy(name=event.name)
    return state


def decide(
    state: UserPolicy, wish: UserPolicyCreated, _context: None = None
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Create a policy once, when every value is within its range; the wish is the event."""
    if state.name is not None:
        return conflict("policy_exists", f"There is a user policy '{state.name}' already.")
    errors = (
        *name_errors(wish.name),
        *amount_errors(
            {
                "max_folder_count": wish.max_folder_count,
                "max_quota_scope_size": wish.max_quota_scope_size,
                "max_session_count_per_model_session": wish.max_session_count_per_model_session,
                "max_customized_image_count": wish.max_customized_image_count,
            }
        ),
    )
    return all_invalid(errors) if errors else (wish,)
