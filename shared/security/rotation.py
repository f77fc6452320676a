"""One more master key in the installation's files, in steps that may stop anywhere.

1. The new version is in the file of the master keys, and nothing is sealed with it.
2. The node's file holds what follows from it.
3. The new version is the current one.

So nobody seals with a key that somebody cannot open with, and no key that was used is ever lost:
who repeats an interrupted rotation goes on with the version that it had staged.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from shared.security.key_file import KeyFileError
from shared.security.sealing import Keyring, NodeKey


class Rotated(NamedTuple):
    """The version that is sealed with now, and the one before."""

    version: int
    previous: int


def rotate(master: Path, node: Path | None) -> Rotated:
    """Add a version to the master keys and make it the current one.

    `node` is the file of the node of this installation, where there is one. Raises KeyFileError;
    then the version that was current still is.
    """
    try:
        with _alone(master):
            keyring = Keyring.load(master)
            previous = keyring.current
            if keyring.newest == previous:
                keyring = keyring.staged()
                keyring.save(master)
            rotated = keyring.advanced()
            if node is not None:
                rotated.node_key(NodeKey.load(node).agent_id).save(node)
            rotated.save(master)
            return Rotated(rotated.current, previous)
    except OSError as error:
        text = f"the key files beside {master} can't be written: {error.strerror}"
        raise KeyFileError(text) from error


@contextmanager
def _alone(master: Path) -> Iterator[None]:
    """Keep a second rotation out: it could replace the first one's key after its use."""
    handle = os.open(master.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise KeyFileError(f"another rotation of {master} is under way") from error
    finally:
        os.close(handle)
