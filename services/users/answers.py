"""What every answer of the users service has in common."""

from typing import Final

from shared.eventlog.codec import stream_name
from shared.eventlog.outcomes import StreamConflict
from shared.messaging.answering import answer_once

__all__ = ["SERVICE", "FactsChanged", "answer_once"]

SERVICE: Final = "users"


class FactsChanged(StreamConflict):
    """Rows that something was decided on are others by now: look, decide and append again."""

    def __init__(self, user_id: str) -> None:
        super().__init__(stream_name("user", user_id), 0, 0)
