"""What is asked of an export besides a list's filters and order: columns and the file's name."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from services.gateway.exports.columns import Column, chosen
from services.gateway.http.parameters import query_pairs
from services.gateway.http.problems import malformed
from shared.kernel.rejections import FieldError, Rejection

FILENAME_CHARS_MAX: Final = 255
SUFFIX: Final = ".csv"
_OWN: Final = ("columns", "filename")
_PAGING: Final = frozenset({"limit", "offset", "cursor"})
_UNSAFE: Final = frozenset('/\\:*?"<>|')


class Asked(NamedTuple):
    """`names` of columns, None for the ordinary ones; `rest` is the query of the list."""

    names: tuple[str, ...] | None
    filename: str
    rest: str


def read_asked(noun: str, query: str, now: datetime) -> Asked | Rejection:
    """Take what is an export's own out of a query."""
    pairs = query_pairs(query)
    if isinstance(pairs, Rejection):
        return pairs
    own = {name: value for name, value in pairs if name in _OWN}
    if len(own) != sum(name in _OWN for name, _ in pairs):
        return malformed("malformed_query", "A parameter is given more than once.")
    for name, _ in pairs:
        if name in _PAGING:
            message = f"An export holds everything, it has no pages: leave out '{name}'."
            return _refused(name, "unknown_parameter", message)
    names = tuple(own["columns"].split(",")) if "columns" in own else None
    if names is not None and len(set(names)) != len(names):
        return _refused("columns", "repeated", "columns names one of them twice.")
    filename = read_filename(own.get("filename", f"{noun}_{now:%Y-%m-%d_%H-%M-%S}"))
    if isinstance(filename, Rejection):
        return filename
    rest = urlencode([pair for pair in pairs if pair[0] not in _OWN])
    return Asked(names, filename, rest)


def read_filename(given: str) -> str | Rejection:
    """Return the name of a file that any system can keep, with `.csv` at its end."""
    if not 0 < len(given) <= FILENAME_CHARS_MAX:
        message = f"filename is 1 to {FILENAME_CHARS_MAX} characters long."
        return _refused("filename", "out_of_range", message)
    if not given.isprintable() or _UNSAFE & set(given) or not given.strip(". "):
        message = 'filename holds none of / \\ : * ? " < > | and nothing that is not printed.'
        return _refused("filename", "not_a_filename", message)
    return given if given.lower().endswith(SUFFIX) else given + SUFFIX


def select(columns: Mapping[str, Column], names: Sequence[str]) -> list[Column] | Rejection:
    """Return the columns that were asked for."""
    found = chosen(columns, names)
    if isinstance(found, list):
        return found
    known = ", ".join(columns)
    maps = ", ".join(f"{name}.<part>" for name, column in columns.items() if column.of_part)
    also = f"; and {maps}" if maps else ""
    message = f"There is no column '{found[:64]}' here; known are: {known}{also}."
    return _refused("columns", "unknown_column", message)


def content_disposition(filename: str) -> str:
    """Return the header that has a browser save a file under this name (RFC 6266, RFC 8187)."""
    fallback = "".join(
        char if char.isascii() and char not in {"%", "'"} else "_" for char in filename
    )
    simple = f'attachment; filename="{fallback}"'
    if fallback == filename:
        return simple
    return f"{simple}; filename*=UTF-8''{quote(filename, safe='')}"


def _refused(field: str, code: str, message: str) -> Rejection:
    return malformed("malformed_query", message, (FieldError(field, code, message),))
