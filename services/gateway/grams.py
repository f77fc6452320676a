"""Which texts can hold a piece of text: by the groups of three characters that they are made of.

A text that contains a piece contains all of its groups. A table keeps the groups of its texts as
numbers under an inverted index, so that a piece is sought without reading every text; what is
found is compared then, as different groups may share a number.
"""

from collections.abc import Iterable
from typing import Final
from zlib import crc32

LENGTH: Final = 3
_OFFSET: Final = 2**31


def grams(texts: Iterable[str]) -> list[int]:
    """Return the numbers (32 bits, signed) of the groups in these texts, whatever their case."""
    groups: set[str] = set()
    for text in texts:
        folded = fold(text)
        groups.update(folded[start : start + LENGTH] for start in range(len(folded) - LENGTH + 1))
    return sorted(crc32(group.encode("utf-8", "surrogatepass")) - _OFFSET for group in groups)


def fold(text: str) -> str:
    """Return a text in lower case, character by character: a piece of it stays a piece."""
    return text.lower() if text.isascii() else "".join(map(str.lower, text))
