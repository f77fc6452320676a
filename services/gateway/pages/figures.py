"""How numbers and addresses are written; the same in every language."""

import shlex
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlencode

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
HIGH_PERCENT: Final = 90
FULL_PERCENT: Final = 100
TONES: Final[Mapping[str, str]] = {
    "PENDING": "wait",
    "SCHEDULED": "busy",
    "PREPARING": "busy",
    "RUNNING": "good",
    "TERMINATING": "ending",
    "TERMINATED": "over",
    "CANCELLED": "over",
    "ERROR": "bad",
    "ALIVE": "good",
    "LOST": "bad",
    "RESTARTING": "ending",
    "enforced": "good",
    "best_effort": "wait",
    "not_enforced": "bad",
}


def tone(status: str) -> str:
    """Return the colour class of a status; unknown ones are neutral."""
    return TONES.get(status, "over")


def as_bytes(amount: float | str) -> str:
    """Render a number of bytes with a binary unit, to one decimal."""
    rest = Decimal(str(amount))
    unit = 0
    while abs(rest) >= 1024 and unit < len(UNITS) - 1:
        rest /= 1024
        unit += 1
    text = f"{rest:.1f}" if unit else f"{rest:.0f}"
    return f"{text.removesuffix('.0')} {UNITS[unit]}"


def amount(value: float | str, name: str) -> str:
    """Render an amount of a slot: memory with its unit, counts as they are."""
    return as_bytes(value) if "mem" in name else str(value)


def slot(value: float | str, name: str) -> str:
    """Render an amount together with what it is of, for a list of several."""
    return as_bytes(value) if "mem" in name else f"{value} {short_name(name)}"


def short_name(name: str) -> str:
    """Return the short written form of a slot: CPU, or what the slot itself is called."""
    return "CPU" if name == "cpu" else name


def share(used: float | str, total: float | str) -> int:
    """Return a part of a whole in per cent, 0 where there is no whole; may exceed 100."""
    try:
        whole = Decimal(str(total))
        return int(Decimal(str(used)) * 100 / whole) if whole else 0
    except InvalidOperation:
        return 0


def level(percent: int) -> str:
    """Return how alarming a percentage is."""
    if percent > FULL_PERCENT:
        return "full"
    return "high" if percent >= HIGH_PERCENT else "normal"


def command_line(command: list[str]) -> str:
    """Return a command as one would type it in a shell."""
    return shlex.join(command)


def accelerators(agent: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what an agent has beside processors and memory."""
    slots: Mapping[str, str] = agent.get("available_slots") or {}
    return [(name, total) for name, total in slots.items() if name not in {"cpu", "mem"}]


def address(path: str, parameters: Mapping[str, object]) -> str:
    """Return a path with those parameters that say something."""
    given = {name: value for name, value in parameters.items() if value not in (None, "", 0)}
    return f"{path}?{urlencode(given)}" if given else path
