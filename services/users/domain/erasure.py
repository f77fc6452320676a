"""When a person may be erased: only a deactivated user, and never oneself."""

import msgspec

from services.users.domain.refusals import own_account
from services.users.domain.user import User
from shared.contracts.users import EraseUser, KeypairDeactivated, UserErased, UsersEvent
from shared.kernel.rejections import Rejection, conflict, not_found


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure is decided on; `keypairs` are the active ones of the user."""

    is_own: bool = False
    keypairs: tuple[str, ...] = ()


def decide(state: User, command: EraseUser, facts: Facts) -> tuple[UsersEvent, ...] | Rejection:
    """Erase once; whoever is erased already stays so."""
    if state.user_id is None:
        return not_found("user", command.user_id[:64])
    if state.is_erased:
        return ()
    if facts.is_own:
        return own_account("Nobody erases the own account; ask another superadmin.")
    if state.status != "inactive":
        return conflict(
            "user_active", "Only a deactivated user can be erased; deactivate the user first."
        )
    user_id = state.user_id
    return (
        *(KeypairDeactivated(access_key=key, user_id=user_id) for key in facts.keypairs),
        UserErased(user_id=user_id),
    )
