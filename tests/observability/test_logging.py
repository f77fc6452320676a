"""Log lines are JSON, carry the request's ids, and show neither secrets nor persons."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.observability.logging import bound, configure_logging, get_logger
from shared.observability.redaction import HIDDEN, redact
from shared.observability.structured import structlog
from shared.security.tokens import new_token


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()
    configure_logging("users", stream=stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_that_says_who_and_when(lines: io.StringIO) -> None:
    get_logger("users.test").info("user_created", user_id="u-1", duration_ms=1.5)
    (line,) = read(lines)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "service": "users",
        "logger": "users.test",
        "event": "user_created",
        "user_id": "u-1",
        "duration_ms": 1.5,
    }


def test_lines_inside_a_block_carry_its_ids_and_later_ones_do_not(lines: io.StringIO) -> None:
    logger = get_logger("users.test")
    with bound(correlation_id="c-1", request_id=None):
        logger.info("inside")
        logging.getLogger("library").warning("also inside")
    logger.info("outside")
    inside, library, outside = read(lines)
    assert inside["correlation_id"] == library["correlation_id"] == "c-1"
    assert library["event"] == "also inside"
    assert library["service"] == "users"
    assert "request_id" not in inside
    assert "correlation_id" not in outside


def test_lines_below_the_level_are_dropped(lines: io.StringIO) -> None:
    get_logger("users.test").debug("detail")
    logging.getLogger("library").debug("detail")
    assert read(lines) == []


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError, match="loud"):
        configure_logging("users", level="loud")


def test_secrets_and_persons_are_hidden_at_any_depth(lines: io.StringIO) -> None:
    get_logger("users.test").info(
        "request",
        password="abcd123!",
        body={"email": "kim@example.org", "keys": [{"secret_key": "s" * 40}]},
        authorization="Bearer abcdefghijkl",
        note="write to kim@example.org",
        raw=b"secret",
        token=None,
    )
    text = lines.getvalue()
    for secret in ("abcd123!", "kim@", "ssss", "abcdefghijkl", "b'secret"):
        assert secret not in text
    (line,) = read(lines)
    assert line["token"] is None
    assert line["note"] == f"write to {HIDDEN}"


def test_an_exception_is_on_the_line_without_secrets_and_without_variables(
    lines: io.StringIO,
) -> None:
    hidden_local = new_token()
    try:
        raise ValueError(  # noqa: TRY301  # raised to be logged
            f"kim@example.org sent {hidden_local} to postgresql://qm:pw123@host/db"
        )
    except ValueError:
        get_logger("users.test").exception("handler_failed")
        logging.getLogger("library").exception("it failed")
    for line in read(lines):
        assert "ValueError" in line["exception"]
        assert "test_logging.py" in line["exception"]
        for secret in ("kim@example", hidden_local, "pw123"):
            assert secret not in line["exception"]


def test_library_arguments_and_extras_are_hidden_too(lines: io.StringIO) -> None:
    logging.getLogger("library").warning(
        "login of %s failed", "kim@example.org", extra={"password": "abcd123!"}
    )
    assert "kim@" not in lines.getvalue()
    assert "abcd123!" not in lines.getvalue()


def test_the_console_form_is_one_readable_line() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers, root.level)
    configure_logging("users", style="console", stream=stream)
    get_logger("users.test").info("user_created", user_id="u-1", email="kim@example.org")
    root.handlers, root.level = before
    structlog.reset_defaults()
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "user_created" in text
    assert "user_id=u-1" in text
    assert "kim@" not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(value=JSON, name=st.sampled_from(["password", "x_secret_key", "Email", "sealed_token"]))
def test_whatever_has_a_secret_name_is_hidden(value: object, name: str) -> None:
    hidden = redact({name: value})
    assert isinstance(hidden, dict)
    assert hidden[name] == HIDDEN or isinstance(value, bool | int | None)


def test_a_thing_that_contains_itself_is_cut_off() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "..." in str(redact(endless))
