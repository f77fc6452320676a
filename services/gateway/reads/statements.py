"""SQL of list pages, built from constants and numbered parameters only."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from services.gateway.auth.principals import Principal
from services.gateway.grams import LENGTH, grams
from services.gateway.http.parameters import (
    Field,
    FieldKind,
    FilterValue,
    ListQuery,
    SortKey,
    cursor_time,
)
from services.gateway.http.times import bound_of
from services.gateway.reads.past import rows_at
from services.gateway.reads.resources import Resource
from services.gateway.several import holds_any
from shared.kernel.rejections import Rejection

Rare = Callable[[list[int]], list[int]]  # leaves out groups that tell little
_EPOCH: Final = "'1970-01-01T00:00:00Z'::timestamptz"
_LIKE_SPECIAL: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_"})


class Statement(NamedTuple):
    """SQL with its parameters, in order."""

    sql: str
    parameters: tuple[object, ...]


class Where:
    """A conjunction that numbers its parameters."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.parameters: list[object] = []

    def add(self, value: object) -> str:
        """Add a parameter and return its placeholder."""
        self.parameters.append(value)
        return f"${len(self.parameters)}"

    def sql(self) -> str:
        """Return `where ...`, or nothing."""
        return f" where {' and '.join(self.conditions)}" if self.conditions else ""


def source(where: Where, resource: Resource, at: datetime | None) -> str:
    """Return what is read: the table of what is, or what was at a moment."""
    return resource.table if at is None else rows_at(resource, f"{where.add(at)}::timestamptz")


def restrict(where: Where, principal: Principal, sight: str | None) -> None:
    """Narrow to what the caller sees; `sight` is None for everything."""
    if sight is None:
        return
    names: dict[str, str] = {}
    if "{user}" in sight:
        names["user"] = where.add(principal.user_id)
    if "{domain}" in sight:
        names["domain"] = where.add(principal.domain)
    where.conditions.append(f"({sight.format(**names)})")


def shown(resource: Resource, sight: str | None) -> str:
    """Return the column of the document that the caller is shown."""
    return "doc" if sight is None else resource.narrow_doc


def narrow(where: Where, resource: Resource, query: ListQuery) -> None:
    """Add the caller's filters: substring for text, any-of for the rest."""
    if resource.only is not None:
        where.conditions.append(f"({resource.only})")
    for name, values in query.filters:
        # what a route narrows by itself is not for callers to name
        field = resource.spec.narrowing(name) or resource.spec.field(name)
        if field is None:
            raise LookupError(name)
        where.conditions.append(_filter(where, name, field, values))


def _filter(where: Where, name: str, field: Field, values: tuple[FilterValue, ...]) -> str:
    kind = field.kind
    if (bound := bound_of(name)) is not None:
        names = [field.name, *([field.after] if field.after and bound.sign == "<" else [])]
        limits = [f"{bound.sign} {where.add(value)}::timestamptz" for value in values]
        return " and ".join(f"{each} {limit}" for each in names for limit in limits)
    if kind is FieldKind.AMONG:
        return holds_any(name, where.add(list(values)))
    if kind is FieldKind.TEXT:
        patterns = [f"%{str(value).translate(_LIKE_SPECIAL)}%" for value in values]
        return f"{name} ilike any({where.add(patterns)}::text[])"
    sql_type = "text" if kind is FieldKind.EXACT else kind.value
    if len(values) == 1:
        return f"{name} = {where.add(values[0])}::{sql_type}"
    return f"{name} = any({where.add(list(values))}::{sql_type}[])"


def sort_columns(resource: Resource, sort: tuple[SortKey, ...]) -> list[tuple[str, bool]]:
    """Return the expressions of the order and whether each descends; the id breaks ties."""
    columns = [(_comparable(resource, key.name), key.descending) for key in sort]
    return [*columns, ("id", sort[-1].descending if sort else False)]


def _comparable(resource: Resource, name: str) -> str:
    """Return a column so that null sorts first and compares like a value."""
    field = resource.spec.field(name)
    if field is not None and field.kind is FieldKind.TIME and field.nullable:
        return f"coalesce({name}, {_EPOCH})"
    return name


def page_statement(
    resource: Resource,
    principal: Principal,
    sight: str | None,
    query: ListQuery,
    rare: Rare | None = None,
) -> Statement | Rejection:
    """Return the statement of one page: id, document, then the sort values; one row too many.

    With `rare` everything that holds the pieces of text is found first and sorted then, which is
    right for little; otherwise rows are gone through in their order until the page is full.
    """
    where = Where()
    table = source(where, resource, query.at)
    restrict(where, principal, sight)
    narrow(where, resource, query)
    columns = sort_columns(resource, query.sort)
    if query.after is not None:
        beyond = _beyond(where, resource, query, columns)
        if isinstance(beyond, Rejection):
            return beyond
        where.conditions.append(beyond)
    if query.filters and query.at is None:
        return _narrowed_page(where, resource, query, columns, rare, shown(resource, sight))
    order = ", ".join(f"{name}{' desc' if descends else ''}" for name, descends in columns)
    selected = ", ".join(["id", shown(resource, sight), *(name for name, _ in columns[:-1])])
    sql = f"select {selected} from {table}{where.sql()} order by {order}"  # noqa: S608  # names are constants of ours
    return Statement(sql + _ends(where, query), tuple(where.parameters))


def _ends(where: Where, query: ListQuery) -> str:
    # a number and not a parameter: so the plan, once made, is kept, and is the one for few rows
    limit = f" limit {query.limit + 1:d}"
    return f"{limit} offset {where.add(query.offset)}::bigint" if query.offset else limit


def _narrowed_page(
    where: Where,
    resource: Resource,
    query: ListQuery,
    columns: list[tuple[str, bool]],
    rare: Rare | None,
    document: str,
) -> Statement:
    """Find the keys of a page first, from narrow indexes where they hold all, then the documents.

    Many rows may be passed over on the way, and none of those is worth its document.
    """
    names = [f"s{index}" for index in range(len(columns))]
    pairs = zip(columns, names, strict=True)
    order = ", ".join(f"{name}{' desc' if descends else ''}" for (_, descends), name in pairs)
    keys = ", ".join(
        f"{column} as {name}" for (column, _), name in zip(columns, names, strict=True)
    )
    if rare is not None:
        where.conditions += sought(where, resource, query, rare)
    found = f"select {keys} from {resource.table}{where.sql()}"  # noqa: S608  # as above
    if rare is not None:
        found = f"with found as materialized ({found}) select * from found"  # noqa: S608  # as above
    found += f" order by {order}{_ends(where, query)}"
    selected = ", ".join(["d.id", f"d.{document}", *(f"k.{name}" for name in names[:-1])])
    sql = (
        f"select {selected} from ({found}) k join {resource.table} d on d.id = k.{names[-1]}"  # noqa: S608  # as above
        f" order by {order}"
    )
    return Statement(sql, tuple(where.parameters))


def count_statement(
    resource: Resource,
    principal: Principal,
    sight: str | None,
    query: ListQuery,
    rare: Rare | None = None,
) -> Statement:
    """Return the statement that counts what all pages hold together, or where that is kept."""
    where = Where()
    table = source(where, resource, query.at)
    restrict(where, principal, sight)
    narrow(where, resource, query)
    if _is_counted(resource, sight, query) and resource.counts is not None:
        kept = f"select coalesce(sum(documents), 0)::bigint from {resource.counts.table}"  # noqa: S608  # as above
        return Statement(f"{kept}{where.sql()}", tuple(where.parameters))
    if query.at is None and rare is not None:
        where.conditions += sought(where, resource, query, rare)
    sql = f"select count(*) from {table}{where.sql()}"  # noqa: S608  # as above
    return Statement(sql, tuple(where.parameters))


def _is_counted(resource: Resource, sight: str | None, query: ListQuery) -> bool:
    counts = resource.counts
    if counts is None or query.at is not None:
        return False
    if sight is not None and sight not in {resource.sights.get(scope) for scope in counts.scopes}:
        return False
    return counts.columns >= {name for name, _ in query.filters}


def is_sought(resource: Resource, query: ListQuery) -> bool:
    """Tell whether a list is narrowed by a piece of text that can be found by its groups."""
    return query.at is None and any(
        name in resource.searched and all(len(str(value)) >= LENGTH for value in values)
        for name, values in query.filters
    )


def sought(where: Where, resource: Resource, query: ListQuery, rare: Rare) -> list[str]:
    """Return the conditions that the groups of characters put on what holds the wanted pieces.

    A piece that is shorter than a group says nothing: then there is no condition.
    """
    conditions: list[str] = []
    for name, values in query.filters:
        groups = [rare(grams((str(value),))) for value in values]
        if name in resource.searched and all(groups):
            either = (f"grams @> {where.add(wanted)}::integer[]" for wanted in groups)
            conditions.append(f"({' or '.join(either)})")
    return conditions


def one_statement(
    resource: Resource,
    principal: Principal,
    sight: str | None,
    key: str,
    at: datetime | None = None,
) -> Statement:
    """Return the statement of one document, if the caller sees it."""
    where = Where()
    table = source(where, resource, at)
    where.conditions.append(f"id = {where.add(key)}")
    restrict(where, principal, sight)
    sql = f"select {shown(resource, sight)} from {table}{where.sql()}"  # noqa: S608  # as above
    return Statement(sql, tuple(where.parameters))


def known_statement(
    resource: Resource, principal: Principal, sight: str | None, key: str
) -> Statement:
    """Return the statement that tells whether the caller saw an object that is gone by now."""
    where = Where()
    where.conditions.append(f"id = {where.add(key)}")
    restrict(where, principal, sight)
    sql = f"select exists(select from {resource.versions}{where.sql()})"  # noqa: S608  # as above
    return Statement(sql, tuple(where.parameters))


def _beyond(
    where: Where, resource: Resource, query: ListQuery, columns: list[tuple[str, bool]]
) -> str | Rejection:
    """Return the condition for rows after the cursor, also where directions are mixed."""
    placeholders: list[str] = []
    for (name, _), key, value in zip(columns, (*query.sort, None), query.after or (), strict=True):
        typed = _cursor_value(resource, key, value)
        if typed is None:
            message = f"The cursor does not fit '{name}'."
            return Rejection(kind="malformed", code="malformed_query", message=message)
        placeholders.append(f"{where.add(typed[0])}::{typed[1]}")
    if len({descends for _, descends in columns}) == 1:  # one comparison that an index answers
        names = ", ".join(name for name, _ in columns)
        sign = "<" if columns[0][1] else ">"
        return f"({names}) {sign} ({', '.join(placeholders)})"
    cases: list[str] = []
    for index, (name, descends) in enumerate(columns):
        equal = [f"{columns[before][0]} = {placeholders[before]}" for before in range(index)]
        step = f"{name} {'<' if descends else '>'} {placeholders[index]}"
        cases.append(f"({' and '.join([*equal, step])})")
    return f"({' or '.join(cases)})"


def _cursor_value(
    resource: Resource, key: SortKey | None, value: object
) -> tuple[object, str] | None:
    field = resource.spec.field(key.name) if key is not None else None
    kind = field.kind if field is not None else FieldKind.EXACT
    if kind is FieldKind.TIME:
        moment: datetime | None = cursor_time(value)
        return None if moment is None else (moment, "timestamptz")
    if kind in {FieldKind.TEXT, FieldKind.EXACT}:
        return (value, "text") if isinstance(value, str) and "\0" not in value else None
    if kind is FieldKind.FLAG:
        return (value, "boolean") if isinstance(value, bool) else None
    is_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
    return (value, "bigint") if is_number else None
