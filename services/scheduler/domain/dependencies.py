"""What a session may depend on: sessions of its user that have ended well, or may yet do so."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from shared.kernel.rejections import FieldError

FIELD: Final = "depends_on"
DEPENDENCIES_MAX: Final = 100


class Dependency(NamedTuple):
    """A session of the user. `succeeded` None: it has not ended yet."""

    session_id: str
    succeeded: bool | None


Find: TypeAlias = Callable[[str], Dependency | None]


def dependency_errors(wanted: Sequence[str], find: Find) -> Iterator[FieldError]:
    """Yield what is wrong with the ids and names of what a session is to wait for."""
    if len(wanted) > DEPENDENCIES_MAX:
        text = f"A session depends on at most {DEPENDENCIES_MAX} others."
        yield FieldError(FIELD, "too_many", text)
        return
    for at, name in enumerate(wanted):
        found = find(name)
        if found is None:
            text = f"You have no session '{name[:64]}' to wait for."
            yield FieldError(f"{FIELD}.{at}", "dependency_not_found", text)
        elif found.succeeded is False:
            text = f"The session '{name[:64]}' has not ended well: nothing can wait for it."
            yield FieldError(f"{FIELD}.{at}", "dependency_failed", text)


def resolved(wanted: Sequence[str], find: Find) -> tuple[str, ...]:
    """Return the ids of what a session waits for, each once."""
    found = (find(name) for name in wanted)
    return tuple(dict.fromkeys(one.session_id for one in found if one is not None))
