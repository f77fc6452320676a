"""What the scheduler is told of sessions being used here."""

import pytest

from services.gateway.telemetry.activity import SessionUse
from shared.testing.clock import FakeClock


def told(use):
    return {one.session_id: one.open_streams for one in use.take()}


def test_a_session_that_was_touched_is_told_of_once():
    use = SessionUse(FakeClock())
    use.touch("s1")
    use.touch("s1")
    assert told(use) == {"s1": 0}
    assert told(use) == {}


def test_a_session_with_open_streams_is_told_of_again_until_the_last_is_closed():
    use = SessionUse(FakeClock())
    with use.stream("s1"):
        with use.stream("s1"):
            assert told(use) == {"s1": 2}
            assert told(use) == {"s1": 2}
        assert told(use) == {"s1": 1}
    assert told(use) == {"s1": 0}
    assert told(use) == {}


def test_a_stream_that_breaks_off_is_closed():
    use = SessionUse(FakeClock())
    with pytest.raises(ConnectionError), use.stream("s1"):  # it breaks inside
        raise ConnectionError
    assert told(use) == {"s1": 0}
    assert told(use) == {}
