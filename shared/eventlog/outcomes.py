"""What an append may come to, other than appended. All but LogUnavailable are expected."""

from shared.eventlog.records import DoneCommand
from shared.kernel.rejections import Rejection


class AppendRefusedError(Exception):
    """The log refused an append; nothing has changed."""


class StreamConflict(AppendRefusedError):  # noqa: N818  # an expected outcome, not a fault
    """Somebody else wrote to the stream meanwhile: load, decide and append again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class ClaimTaken(AppendRefusedError):  # noqa: N818  # an expected outcome, not a fault
    """Another owner holds the name. The value is not in the text: it may be personal."""

    def __init__(self, kind: str, value: str, owner: str) -> None:
        super().__init__(f"a {kind} is held by another owner")
        self.kind = kind
        self.value = value
        self.owner = owner


class CommandRepeated(AppendRefusedError):  # noqa: N818  # an expected outcome, not a fault
    """This very request was accepted before; `done` holds the first answer."""

    def __init__(self, done: DoneCommand) -> None:
        super().__init__("the command was accepted before")
        self.done = done

    @property
    def result(self) -> dict[str, object]:
        """The result that the first answer carried."""
        return self.done.result


class IdempotencyMismatch(AppendRefusedError):  # noqa: N818  # an expected outcome, not a fault
    """The idempotency key was used before, for another request."""

    def __init__(self, key: str) -> None:
        super().__init__("the idempotency key was used for another request")
        self.key = key

    @property
    def rejection(self) -> Rejection:
        """The refusal that the caller gets."""
        return Rejection(
            kind="invalid",
            code="idempotency_mismatch",
            message="The Idempotency-Key was used before, for a different request; use a new one.",
        )


class StaleEpoch(AppendRefusedError):  # noqa: N818  # an expected outcome, not a fault
    """Another process has taken over: this one must stop writing."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"epoch {epoch} is over: another process has taken over")
        self.epoch = epoch


class LogUnavailable(Exception):  # noqa: N818  # an expected outcome, not a fault
    """Postgres could not be asked or did not answer; an append may or may not have happened.

    Whoever retries an append must do it under the same command key.
    """
