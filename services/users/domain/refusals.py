"""The refusals that several rules of the users service share."""

from collections.abc import Sequence
from typing import Final

from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict

# What depends on the present state of something else; a program may want to react to it.
NAMED: Final = frozenset(
    {
        "domain_inactive",
        "project_inactive",
        "status_transition",
        "totp_only_off",
        "user_not_in_domain",
    }
)


def refused(errors: Sequence[FieldError]) -> Rejection:
    """Return one refusal of all fields; when a named rule is all there is, its code is its own."""
    return all_invalid(tuple(errors), NAMED)


def against(field: str, code: str, message: str) -> Rejection:
    """Return the refusal of one field."""
    return refused((FieldError(field, code, message),))


def erased() -> Rejection:
    """Return the refusal of what an erased person cannot be given any more."""
    return conflict(
        "user_erased", "The user's personal data was erased; the account cannot be used again."
    )


def own_account(message: str) -> Rejection:
    """Return the refusal of what nobody does to the own account."""
    return Rejection(kind="forbidden", code="own_account", message=message)


def last_superadmin() -> Rejection:
    """Return the refusal of what would leave nobody in charge."""
    return conflict(
        "last_superadmin",
        "This is the last active superadmin; make or activate another one first.",
    )
