"""What a list of one noun is: its table, its fields, who sees which rows. All of it constants."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from services.gateway.auth.permissions import Scope
from services.gateway.http.parameters import ListSpec
from shared.contracts.base import ServiceName

OWNER: Final = "user_id = {user}"
DOMAIN: Final = "domain = {domain}"


class Counts(NamedTuple):
    """A table that holds how many there are of each kind, and the columns that tell kinds apart.

    Whatever asks for no more than these columns is answered from it, also in these scopes.
    """

    table: str
    columns: frozenset[str]
    scopes: frozenset[Scope]


class Resource(NamedTuple):
    """One noun's read model.

    `sights` gives the SQL condition of each narrower scope, with `{user}` and `{domain}` for the
    caller's; a scope that is absent sees nothing. `sources` are the services whose events change
    the table: a page stays good for as long as none of them has moved. `counts` spares counting,
    and in the texts that are `searched` a piece is found by its groups. `versions` is the table of
    what was, where the past is kept; `past_columns` are the columns that it does not hold, `{at}`
    being the moment and `v` the row. Whoever sees less than everything is shown the document in
    the column `narrow_doc`.
    """

    noun: str
    table: str
    spec: ListSpec
    sources: tuple[ServiceName, ...]
    sights: Mapping[Scope, str]
    list_action: str
    read_action: str
    is_live: bool = False
    counts: Counts | None = None
    searched: frozenset[str] = frozenset()
    versions: str | None = None
    past_columns: Mapping[str, str] = {}
    narrow_doc: str = "doc"
    only: str | None = None
