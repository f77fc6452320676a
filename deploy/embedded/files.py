"""Writing small files so that a reader or a crash never meets half of one."""

import os
from pathlib import Path


def write_private(path: Path, content: str, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` by `content`, readable for its owner only (0600), durable on return."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if owner is not None:
            os.fchown(file.fileno(), *owner)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
