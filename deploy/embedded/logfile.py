"""A log file of bounded size: when it is full it becomes `.1`, and that one `.2`."""

from pathlib import Path
from typing import BinaryIO, Final

LIMIT_BYTES: Final = 8 << 20
KEPT: Final = 2


class LogFile:
    """Lines go to `path`; at most `limit_bytes` there and in each of two older parts."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._file: BinaryIO | None = None
        self._size_bytes = 0
        self._lost = 0

    def write(self, line: bytes) -> None:
        """Append one line; on a full disk it is lost, and counted for when there is room again."""
        try:
            if self._lost:
                self._append(b"(%d lines were lost: the disk was full)\n" % self._lost)
                self._lost = 0
            self._append(line)
        except OSError:
            self._lost += 1

    def _append(self, line: bytes) -> None:
        if self._file is None or self._size_bytes + len(line) > self._limit_bytes:
            self._file = self._turn_over()
        self._size_bytes += self._file.write(line)

    def _turn_over(self) -> BinaryIO:
        if self._file is not None:
            self._file.close()
            for number in range(KEPT, 0, -1):
                older = self._path if number == 1 else self._part(number - 1)
                if older.exists():
                    older.replace(self._part(number))
        file = self._path.open("ab", buffering=0)
        self._size_bytes = file.tell()
        return file

    def _part(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def close(self) -> None:
        """Close the file; writing opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None
