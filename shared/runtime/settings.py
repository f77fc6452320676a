"""Settings come from the environment, once, at the start; a wrong one stops the process."""

import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import (
    Any,
    ClassVar,
    Final,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

PREFIX: Final = "QM_"

S = TypeVar("S", bound="Settings")


class SettingsError(Exception):
    """Variables are missing or wrong; the text names them all, never their values."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service needs to know. `http_port` 0 lets the system pick one.

    A service with more settings extends this class; field `x_y` is read from `QM_X_Y`. `ONE_LEADS`
    says of a service that one process at a time takes all of its commands and queries.
    """

    ONE_LEADS: ClassVar[bool] = False

    service: str
    nats_url: str
    database_url: str = ""
    http_host: str = "127.0.0.1"
    http_port: int = 0
    master_key_file: Path | None = None
    bootstrap_file: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 10.0

    def __repr__(self) -> str:
        """Name the service only: addresses hold passwords."""
        return f"{type(self).__name__}(service={self.service!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Name the service only, in pretty tracebacks too."""
        return [("service", self.service)]


def load(kind: type[S], service: str, environ: Mapping[str, str] | None = None) -> S:
    """Read the settings of `service` from the environment; raises SettingsError."""
    found = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        name = PREFIX + field.name.upper()
        text = service if field.name == "service" else found.get(name, "").strip()
        if not text:
            if field.required:
                problems.append(f"{name} is missing")
            continue
        try:
            values[field.name] = _convert(text, hints[field.name])
        except msgspec.ValidationError:
            problems.append(f"{name} must be {_describe(hints[field.name])}")
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)


def _describe(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(str, get_args(wanted)))
    return f"of type {getattr(wanted, '__name__', wanted)}"


def _convert(text: str, wanted: Any) -> Any:
    options = [wanted]
    if get_origin(wanted) in (Union, types.UnionType):
        options = [option for option in get_args(wanted) if option is not type(None)]
    if Path in options:
        return Path(text)
    return msgspec.convert(text, wanted, strict=False)
