"""What the launcher says: one line a step, on a terminal with progress in place."""

import sys
from types import TracebackType
from typing import Self


class SetupError(Exception):
    """The machine cannot be set up; the text says what to do."""


def say(text: str) -> None:
    """Print one line at once."""
    print(text, flush=True)


def complain(text: str) -> None:
    """Print an error, each line under the program's name."""
    print(f"qm: {text}", file=sys.stderr, flush=True)


class Step:
    """A step that takes a while: named when it begins, its progress shown on a terminal."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = sys.stdout.isatty()

    def __enter__(self) -> Self:
        """Say that it begins."""
        print(f"  {self._title} …", end="" if self._live else "\n", flush=True)
        return self

    def progress(self, detail: str) -> None:
        """Replace what is shown behind the title."""
        if self._live:
            print(f"\r\033[K  {self._title} … {detail[:60]}", end="", flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Say how it ended."""
        if self._live:
            print(f"\r\033[K  {self._title}: {'done' if kind is None else 'failed'}", flush=True)
