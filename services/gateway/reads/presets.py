"""Which preset is meant by an id or a name: a name is unique within a group, or among the rest."""

from typing import Final

from services.gateway.http.problems import Refused
from services.gateway.reads.models import ReadModels
from shared.kernel.rejections import FieldError, Rejection

ANY_GROUP: Final = None
EVERY_GROUP: Final = ""  # what a preset for every group has in its column
_FIND: Final = (
    "select id, resource_group from presets where (id = $1 or name = $1)"
    " and ($2::text is null or resource_group = $2) order by id <> $1, resource_group, id"
)
# in a group its own goes first; without one, what is for every group (that is, of group '')
_FOR: Final = (
    "select id, resource_group from presets where (id = $1 or name = $1)"
    " and ($2::text is null or resource_group in ($2, ''))"
    " order by id <> $1, (resource_group = '') = ($2::text is not null), id"
)


async def preset_id(reads: ReadModels, key: str, group: str | None = ANY_GROUP) -> str:
    """Return the id of the preset of this id or name, `key` itself when there is none.

    `group` narrows to the presets of one group, or to those for every group when it is empty.
    Raises Refused (400 `ambiguous_preset`) for a name that several groups have.
    """
    if "\0" in key or "\0" in (group or ""):
        return key
    rows = await reads.pool.fetch(_FIND, key, group)
    if not rows or rows[0]["id"] == key:
        return key
    if len(rows) > 1:
        raise Refused(_ambiguous(key, [row["resource_group"] for row in rows]))
    found: str = rows[0]["id"]
    return found


async def preset_for(reads: ReadModels, key: str, group: str | None) -> str:
    """Return the id of the preset that a session means, `key` itself when there is none.

    In a group its own preset goes before that of every group. Where no group is named it is that
    of every group, or else that of the only group that has one. Raises Refused (400) when several
    have.
    """
    if "\0" in key or "\0" in (group or ""):
        return key
    rows = await reads.pool.fetch(_FOR, key, group)
    if not rows:
        return key
    first: str = rows[0]["id"]
    is_certain = first == key or group is not None or rows[0]["resource_group"] == EVERY_GROUP
    if not is_certain and len(rows) > 1:
        raise Refused(_ambiguous(key, [row["resource_group"] for row in rows]))
    return first


def _ambiguous(name: str, groups: list[str]) -> Rejection:
    message = (
        f"There are {len(groups)} presets '{name[:64]}'. Add ?resource_group= and the group"
        " (empty for the one of every group), or use the id."
    )
    return Rejection(
        kind="malformed",
        code="ambiguous_preset",
        message=message,
        errors=(FieldError("resource_group", "required", message),),
        details={"resource_groups": [group or None for group in groups]},
    )
