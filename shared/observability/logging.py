"""Log lines: one JSON object each, with the ids of the request they belong to.

    configure_logging("users", level="info", style="json")     # once, before anything else
    logger = get_logger("users.handlers")
    with bound(correlation_id=meta.correlation_id):             # all lines inside carry it
        logger.info("user_created", user_id=user_id, duration_ms=3.2)

Lines of libraries that use the standard library's logging pass through the same steps. Secrets and
personal data are removed from every line (see `redaction`).
"""

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, Literal, TextIO

import msgspec

from shared.observability.redaction import redact, redact_text
from shared.observability.structured import structlog

Line = MutableMapping[str, Any]
Format = Literal["json", "console"]
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_FIRST: Final = ("time", "level", "service", "logger", "event")
_encoder = msgspec.json.Encoder()


def configure_logging(
    service: str,
    *,
    level: str = "info",
    style: Format = "json",
    stream: TextIO | None = None,
) -> None:
    """Send all log lines of this process to `stream` (standard output); ValueError: no level."""
    if level.lower() not in LEVELS:
        raise ValueError(f"the log level is one of {', '.join(LEVELS)}, not {level!r}")

    def add_service(_logger: Any, _method: str, line: Line) -> Line:
        line.setdefault("service", service)
        return line

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_service,
        _render_exception,
        _redact_line,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *(step for step in shared if not isinstance(step, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _as_json if style == "json" else _as_text,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("asyncio", "alembic", "httpx", "httpcore", "faststream", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; its lines carry `logger: name`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bound(**ids: str | None) -> Iterator[None]:
    """Give every line inside the block these ids (`correlation_id`, `request_id`, ...)."""
    with structlog.contextvars.bound_contextvars(
        **{name: value for name, value in ids.items() if value is not None}
    ):
        yield


def _render_exception(_logger: Any, _method: str, line: Line) -> Line:
    """Put an exception's text on the line; local variables are never shown."""
    info = line.pop("exc_info", None)
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    elif info is True:
        info = sys.exc_info()
    if info and info[0] is not None:
        line["exception"] = "".join(traceback.format_exception(*info, limit=-20))
    return line


def _redact_line(_logger: Any, _method: str, line: Line) -> Line:
    for name, value in line.items():
        if not name.startswith("_"):
            line[name] = redact(value, name)
    return line


def _as_json(_logger: Any, _method: str, line: Line) -> str:
    ordered = {name: line.pop(name) for name in _FIRST if name in line}
    return _encoder.encode({**ordered, **line}).decode()


def _as_text(_logger: Any, _method: str, line: Line) -> str:
    head = "{} {:<8} {:<10} {}".format(
        *(line.pop(name, "") for name in ("time", "level", "service", "event"))
    )
    line.pop("logger", None)
    exception = line.pop("exception", None)
    rest = " ".join(f"{name}={value}" for name, value in line.items())
    text = f"{head} {rest}".rstrip()
    return f"{text}\n{redact_text(str(exception))}" if exception else text
