"""What the launcher says: one line a step, on a terminal with progress in place."""

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO


class SetupError(Exception):
    """The machine cannot be set up; the text says what to do."""


def say(text: str) -> None:
    """Print one line at once."""
    _print(text, sys.stdout)


def complain(text: str) -> None:
    """Print an error, each line under the program's name."""
    _print(f"qm: {text}", sys.stderr)


def _print(text: str, stream: TextIO, end: str = "\n") -> None:
    # whoever read this may be gone; what runs must go on all the same
    with contextlib.suppress(BrokenPipeError):
        print(text, file=stream, end=end, flush=True)


def continue_in(path: Path) -> None:
    """Write everything from now on to a file instead of the terminal."""
    with path.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())


class Step:
    """A step that takes a while: named when it begins, its progress shown on a terminal."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = sys.stdout.isatty()

    def __enter__(self) -> Self:
        """Say that it begins."""
        _print(f"  {self._title} …", sys.stdout, "" if self._live else "\n")
        return self

    def progress(self, detail: str) -> None:
        """Replace what is shown behind the title."""
        if self._live:
            _print(f"\r\033[K  {self._title} … {detail[:60]}", sys.stdout, "")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say how it ended."""
        if self._live:
            outcome = "done" if kind is None else "not done"
            _print(f"\r\033[K  {self._title}: {outcome}", sys.stdout)
