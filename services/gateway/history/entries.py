"""From rows of the audit read model to what a reader is told: changes, names, what is withheld."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.gateway.auth.principals import Principal
from services.gateway.documents.events import ActorDocument, ChangeDocument, EventDocument
from services.gateway.history.amounts import render
from services.gateway.history.changes import (
    PERSONAL,
    Assigned,
    assigned,
    part_of,
    setters,
    stated_before,
    untouched,
)
from services.gateway.history.rows import Probe, Row
from shared.security.persons import PersonKey, open_text

_FLATTENED: Final = frozenset({"profile"})


class Before(NamedTuple):
    """What a field held before an event, still as it is in the events: the answer to a probe."""

    value: Any


class Telling:
    """What is needed to tell rows to one reader.

    `keys` opens what is said of persons; None, or no entry, is one who was erased. `names` are the
    names of actors in the reader's sight.
    """

    def __init__(
        self,
        principal: Principal,
        *,
        tells_all: bool,
        keys: Mapping[str, PersonKey | None],
        names: Mapping[str, str | None],
    ) -> None:
        self._principal = principal
        self._tells_all = tells_all
        self._keys = keys
        self._names = names

    def entry(self, row: Row, before: Mapping[tuple[str, str | None], Before]) -> EventDocument:
        """Return one row as it is told; `before` is by field and part."""
        is_told = self._tells_all or self._is_own(row)
        return EventDocument(
            position=row.position,
            service=row.service,
            type=row.type,
            at=row.at,
            aggregate=row.aggregate,
            id=row.key,
            actor=ActorDocument(
                kind=row.actor_kind,  # type: ignore[arg-type]  # as the events hold it
                id=row.actor_id,
                name=self._names.get(row.actor_id) if row.actor_kind == "user" else None,
            ),
            credential=row.credential if is_told else None,
            acted_as=row.acted_as,
            client_address=row.client_address if is_told else None,
            request_id=row.request_id,
            changes=dict(self._changes(row, before)),
        )

    def _is_own(self, row: Row) -> bool:
        return row.actor_kind == "user" and row.actor_id == self._principal.user_id

    def _changes(
        self, row: Row, before: Mapping[tuple[str, str | None], Before]
    ) -> Iterable[tuple[str, ChangeDocument]]:
        for item in assignments(row):
            known = before.get((item.name, item.part))
            raw = untouched(row.data) if known is None else known.value
            old, new = self._shown(row, item.name, raw), self._shown(row, item.name, item.value)
            path = path_of(row, item)
            if item.name in _FLATTENED and isinstance(new, Mapping):
                parts = old if isinstance(old, Mapping) else {}
                for name, value in new.items():
                    if parts.get(name) != value:
                        yield f"{path}.{name}", ChangeDocument(before=parts.get(name), after=value)
            elif old != new or (new is None and raw != item.value):  # erased: that it was another
                yield path, ChangeDocument(before=old, after=new)

    def _shown(self, row: Row, name: str, value: Any) -> Any:
        if row.aggregate == "user" and name in PERSONAL and isinstance(value, str):
            key = self._keys.get(row.key)
            return None if key is None else open_text(key, name, value)
        return render(name, value)


def assignments(row: Row) -> list[Assigned]:
    """Return what a row's event assigned."""
    return assigned(row.service, row.type, row.data, is_first=row.version == 1)


def path_of(row: Row, item: Assigned) -> str:
    """Return what a field is called in the changes: a part's by what and which part it is."""
    part = part_of(row.service, row.type)
    return item.name if part is None else f"{part[0]}.{item.part}.{item.name}"


def persons(rows: Sequence[Row]) -> set[str]:
    """Return of whom these rows hold personal texts."""
    return {
        row.key
        for row in rows
        if row.aggregate == "user" and any(item.name in PERSONAL for item in assignments(row))
    }


def probes(row: Row) -> dict[tuple[str, str | None], Probe]:
    """Return what must be asked to know what was before a row; the first event has no before."""
    if row.version == 1:
        return {}
    part = part_of(row.service, row.type)
    stated = stated_before(row.service, row.type, row.data)
    found: dict[tuple[str, str | None], Probe] = {}
    for item in assignments(row):
        if item.name in stated:
            continue
        setting = setters(row.service, row.type, item.name)
        found[item.name, item.part] = Probe(
            service=row.service,
            aggregate=row.aggregate,
            key=row.key,
            before=row.position,
            always=",".join(sorted(setting.always)),
            maybe=",".join(sorted(setting.maybe)),
            field=setting.field,
            part_field=None if part is None else part[1],
            part=item.part,
        )
    return found


def answered(
    service: str, event_type: str, data: Mapping[str, Any], name: str, part: str | None
) -> Before | None:
    """Return what an earlier event says that a field held since."""
    for item in assigned(service, event_type, data, is_first=True):
        if (item.name, item.part) == (name, part):
            return Before(item.value)
    return None
