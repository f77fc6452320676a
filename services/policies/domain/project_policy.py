"""A project policy: the limits of one project. Null is unlimited, 0 is zero."""

import msgspec

from services.policies.domain.limits import amount_errors, name_errors
from shared.contracts.base import Event
from shared.contracts.policies import PoliciesEvent, ProjectPolicyCreated
from shared.kernel.rejections import Rejection, all_invalid, conflict


class ProjectPolicy(msgspec.Struct, frozen=True):
    """What is known of a policy; `name` is None before it exists."""

    name: str | None = None


INITIAL = ProjectPolicy()


def evolve(state: ProjectPolicy, event: Event) -> ProjectPolicy:
    """Return the policy after an event."""
    if isinstance(event, ProjectPolicyCreated):
        return ProjectPolicy(name=event.name)
    return state


def decide(
    state: ProjectPolicy, wish: ProjectPolicyCreated, _context: None = None
) -> tuple[PoliciesEvent, ...] | Rejection:
    """Create a policy once, when every value is within its range; the wish is the event."""
    if state.name is not None:
        return conflict("policy_exists", f"There is a project policy '{state.name}' already.")
    errors = (
        *name_errors(wish.name),
        *amount_errors(
            {
                "max_folder_count": wish.max_folder_count,
                "max_quota_scope_size": wish.max_quota_scope_size,
                "max_network_count": wish.max_network_count,
            }
        ),
    )
    return all_invalid(errors) if errors else (wish,)
