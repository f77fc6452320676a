"""What people type, turned into what the API takes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

import click

from services.gateway.cli.settings import CliError

UNLIMITED: Final = "unlimited"
NONE: Final = "none"
_BYTES: Final = {"k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
T = TypeVar("T")


def rate_limit(_: click.Context, parameter: click.Parameter, given: str | None) -> int | str | None:
    """Return a number of requests, the word `unlimited`, or None when nothing was given."""
    if given is None or given == UNLIMITED:
        return given
    if given.isascii() and given.isdigit():
        return int(given)
    text = f"'{given}' is neither a number nor '{UNLIMITED}'"
    raise click.BadParameter(text, param=parameter)


def number(_: click.Context, parameter: click.Parameter, given: str | None) -> int | str | None:
    """Return a whole number, the word `unlimited`, or None when nothing was given."""
    return _amount(parameter, given, {}, "a number")


def seconds(_: click.Context, parameter: click.Parameter, given: str | None) -> int | str | None:
    """Return a time in seconds, from such as 90, 30m, 12h or 7d; or the word `unlimited`."""
    return _amount(parameter, given, _SECONDS, "a time such as 90, 30m, 12h or 7d")


def amount_of_bytes(
    _: click.Context, parameter: click.Parameter, given: str | None
) -> int | str | None:
    """Return a number of bytes, from such as 1024, 512m or 100g; or the word `unlimited`."""
    units = {unit: 1 << shift for unit, shift in _BYTES.items()}
    return _amount(parameter, given, units, "a size such as 1024, 512m or 100g")


def _amount(
    parameter: click.Parameter, given: str | None, units: Mapping[str, int], what: str
) -> int | str | None:
    if given is None or given == UNLIMITED:
        return given
    unit = units.get(given[-1:].lower(), 1)
    digits = given[:-1] if given[-1:].lower() in units else given
    if not (digits.isascii() and digits.isdigit()):
        text = f"'{given}' is neither {what} nor '{UNLIMITED}'"
        raise click.BadParameter(text, param=parameter)
    return int(digits) * unit


def moment(_: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
    """Return a time as the API takes it, in UTC; without an offset it is local time."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        text = f"'{given}' is no time such as 2026-01-31T23:59:59"
        raise click.BadParameter(text, param=parameter) from error
    return found.isoformat().replace("+00:00", "Z")


def slot_limits(
    _: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str | None]:
    """Turn repeated `SLOT=AMOUNT` into a map; `unlimited` is None."""
    return _slots(parameter, given, UNLIMITED)


def slot_amounts(
    _: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str | None]:
    """Turn repeated `SLOT=AMOUNT` into a map; `none` is None."""
    return _slots(parameter, given, NONE)


def _slots(parameter: click.Parameter, given: tuple[str, ...], null: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for text in given:
        slot, equals, amount = text.partition("=")
        if not (slot and equals and amount):
            raise click.BadParameter(f"'{text}' is not SLOT=AMOUNT", param=parameter)
        found[slot] = None if amount == null else amount
    return found


def host_permissions(
    _: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, list[str] | None]:
    """Turn repeated `HOST=PERMISSION,…` into a map; nothing behind the `=` is None."""
    found: dict[str, list[str] | None] = {}
    for text in given:
        host, equals, names = text.partition("=")
        if not (host and equals):
            raise click.BadParameter(f"'{text}' is not HOST=PERMISSION,…", param=parameter)
        found[host] = [name.strip() for name in names.split(",") if name.strip()] or None
    return found


def changes(given: Mapping[str, T | None]) -> dict[str, T]:
    """Return the fields that were given: not None, and no empty map or tuple.

    Raises CliError when there is nothing to change.
    """
    kept = {name: value for name, value in given.items() if value not in (None, {}, ())}
    if not kept:
        raise click.UsageError("there is nothing to change; say what, see --help")
    return kept


def number_of_requests(limit: int | str) -> int | None:
    """Return a rate limit as the API takes it: None is unlimited."""
    if isinstance(limit, int):
        return limit
    if limit != UNLIMITED:
        raise CliError(f"'{limit}' is no rate limit")
    return None
