"""`python -m services.scheduler.forecasting`: answers one by one when sessions will start.

A process of its own, because running ahead takes seconds of computing that commits would wait for.
It reads questions from its standard input, as `parts` cuts them, writes each answer as a line, and
ends with whoever asks: then its input ends. Only its parent can write there.
"""

import os
import pickle
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

import msgspec

from services.scheduler.forecast.estimate import waits
from services.scheduler.forecast.experience import Experience
from services.scheduler.forecast.snapshot import Running, Snapshot
from services.scheduler.placement.model import Waiting
from services.scheduler.placement.rows import Row

MODULE: Final = "services.scheduler.forecasting"
COURTESY: Final = 10  # whoever decides and commits goes first
PART_SIZE: Final = 50


class Question(NamedTuple):
    """Whose starts are wanted, and what they depend on; `coming` queue up in so many seconds."""

    snapshot: Snapshot
    past: Experience
    wanted: tuple[str, ...]
    coming: tuple[tuple[float, Waiting], ...] = ()


def parts(question: Question) -> Iterator[bytes]:
    """Cut a question into parts; each costs little, so that others get a turn in between."""
    snapshot = question.snapshot
    bare = question._replace(snapshot=snapshot._replace(rows=(), running=()))
    yield pickle.dumps(bare)
    for at in range(0, len(snapshot.rows), PART_SIZE):
        yield pickle.dumps(snapshot.rows[at : at + PART_SIZE])
    yield pickle.dumps(())
    for at in range(0, len(snapshot.running), PART_SIZE):
        yield pickle.dumps(snapshot.running[at : at + PART_SIZE])
    yield pickle.dumps(())


def read(source: BinaryIO) -> Question | None:
    """Read the next question; None when there will be none any more."""
    try:
        question: Question = pickle.load(source)  # noqa: S301  # what the parent has written
        rows: list[Row] = []
        running: list[Running] = []
        for whole in (rows, running):
            while part := pickle.load(source):  # noqa: S301  # likewise
                whole.extend(part)
    except EOFError:
        return None
    snapshot = question.snapshot._replace(rows=tuple(rows), running=tuple(running))
    return question._replace(snapshot=snapshot)


def main() -> None:
    """Answer until the input ends."""
    os.nice(COURTESY)
    while (question := read(sys.stdin.buffer)) is not None:
        found = waits(question.snapshot, (), question.past, question.wanted, coming=question.coming)
        sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
