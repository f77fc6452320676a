"""The rows of a bulk request: from JSON or CSV to users, each row judged by itself."""

import csv
import io
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from services.gateway.http.bodies import Body, explain
from services.gateway.http.problems import Refused, malformed
from shared.contracts.users import Role, UserStatus
from shared.kernel.rejections import FieldError, all_invalid

ROWS_MAX: Final = 5_000
Row: TypeAlias = dict[str, Any]
_FLAGS: Final = {"true": True, "false": False}
_LISTS: Final = frozenset({"projects"})
_BOOLEANS: Final = frozenset({"password_change_required", "sudo_session_enabled"})
_EXTRA: Final = ""  # under this name a row keeps what is too much in it, so that it is refused


class BulkUser(Body, frozen=True, kw_only=True):
    """One user of a bulk request; without a password one is generated, if that is asked for."""

    email: str
    username: str
    password: str | UnsetType = UNSET
    full_name: str = ""
    description: str = ""
    domain: str = "default"
    projects: list[str] | None = None
    role: Role = "user"
    status: UserStatus = "active"
    resource_policy: str = "default"
    password_change_required: bool = False
    sudo_session_enabled: bool = False


class BulkUsersBody(Body, frozen=True, kw_only=True):
    """Users to create; a row that is no good is reported and does not keep the others back."""

    users: list[BulkUser]
    generate_passwords: bool = False


class RawBulk(Body, frozen=True, kw_only=True):
    """A bulk request whose rows are not judged yet."""

    users: list[Any]
    generate_passwords: bool = False


def read_csv(raw: bytes) -> list[Row]:
    """Return the rows of a CSV text with a header; raises Refused (400) for what is no table.

    Empty cells are absent fields; projects are separated by semicolons.
    """
    if b"\0" in raw:
        raise Refused(malformed("malformed_body", "The body holds a NUL character."))
    try:
        lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        text = f"The body cannot be read as CSV in UTF-8: {error}."
        raise Refused(malformed("malformed_csv", text[:300])) from error
    lines = [line for line in lines if line]
    if not lines:
        raise Refused(malformed("malformed_csv", "The first line must name the columns."))
    header = [name.strip() for name in lines[0]]
    _check_header(header)
    return [_row(header, line) for line in lines[1:]]


def _check_header(header: list[str]) -> None:
    known = BulkUser.__struct_fields__
    errors: list[FieldError] = []
    for name in header:
        if name not in known:
            text = f"There is no column '{name[:64]}'; known are: {', '.join(known)}."
            errors.append(FieldError(name[:64], "unknown_field", text))
        elif header.count(name) > 1:
            errors.append(FieldError(name, "repeated", f"The column '{name}' is there twice."))
    errors += [
        FieldError(name, "required", f"The column '{name}' is needed.")
        for name in ("email", "username")
        if name not in header
    ]
    if errors:
        message = errors[0].message
        raise Refused(malformed("malformed_csv", message, tuple(dict.fromkeys(errors))))


def _row(header: list[str], line: list[str]) -> Row:
    row: Row = {}
    for name, cell in zip(header, line, strict=False):
        if cell == "":
            continue
        if name in _LISTS:
            row[name] = [part.strip() for part in cell.split(";") if part.strip()]
        elif name in _BOOLEANS:
            row[name] = _FLAGS.get(cell.strip().lower(), cell)
        else:
            row[name] = cell
    if len(line) != len(header):
        row[_EXTRA] = f"{len(line)} cells where there are {len(header)} columns"
    return row


def check_count(rows: Sequence[object]) -> None:
    """Refuse an empty or endless request; raises Refused (422)."""
    if not 1 <= len(rows) <= ROWS_MAX:
        text = f"A request creates 1 to {ROWS_MAX} users; these are {len(rows)}."
        code = "required" if not rows else "too_many"
        raise Refused(all_invalid((FieldError("users", code, text),)))


def judge_row(raw: Any) -> BulkUser | tuple[FieldError, ...]:
    """Return the user that a row describes, or what is wrong with the row."""
    if isinstance(raw, dict) and _EXTRA in raw:
        return (FieldError("", "columns", f"The row has {raw[_EXTRA]}."),)
    try:
        return msgspec.convert(raw, BulkUser)
    except msgspec.ValidationError as error:
        rejection = explain(str(error))
        return rejection.errors


def repeated(rows: Sequence[Any]) -> dict[int, FieldError]:
    """Return the rows that name an address or a user name that a row before them names."""
    found: dict[int, FieldError] = {}
    for field in ("email", "username"):
        first: dict[str, int] = {}
        for index, row in enumerate(rows):
            value = row.get(field) if isinstance(row, dict) else None
            if not isinstance(value, str):
                continue
            before = first.setdefault(value.strip().casefold(), index)
            if before != index:
                text = f"Row {before} has the same {field} already."
                found.setdefault(index, FieldError(field, "repeated", text))
    return found
