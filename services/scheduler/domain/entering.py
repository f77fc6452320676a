"""Whether a session may enter its resource group."""

from collections.abc import Iterator
from typing import Final

from services.scheduler.domain.resource_group import ResourceGroup
from shared.contracts.scheduler import EnqueueSession
from shared.kernel.rejections import FieldError

FIELD: Final = "resource_group"


def group_errors(
    command: EnqueueSession,
    group: ResourceGroup | None,
    access_key: str | None,
    *,
    sees_all: bool,
) -> Iterator[FieldError]:
    """Yield why a session can't enter a group, None being one that is not there.

    To whoever does not see all groups, one that is closed to the session is not there either.
    """
    name = command.resource_group
    if name is None:
        text = f"There is no resource group that takes {command.session_type} sessions of yours."
        yield FieldError(FIELD, "no_resource_group", text)
        return
    is_open = group is not None and group.admits(command.domain, command.project_id, access_key)
    if group is None or not (is_open or sees_all):
        text = f"There is no resource group '{name[:64]}'."
        yield FieldError(FIELD, "resource_group_not_found", text)
    elif not is_open:
        yield FieldError(FIELD, "resource_group_not_allowed", _closed(group))
    elif not group.is_active:
        text = f"The resource group {name} is not active."
        yield FieldError(FIELD, "resource_group_inactive", text)
    elif command.session_type not in group.allowed_session_types:
        text = (
            f"{name} does not take {command.session_type} sessions, only "
            f"{', '.join(group.allowed_session_types)}."
        )
        yield FieldError("type", "session_type_not_allowed", text)


def _closed(group: ResourceGroup) -> str:
    if not group.is_public:
        return f"The resource group {group.name} is not public: it takes no sessions of users."
    return (
        f"The resource group {group.name} is not open to this project, its domain or this keypair."
    )
