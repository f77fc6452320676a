"""Says whether a database is as this version of the code would leave it.

What makes schemas and roles is reduced to one number that is kept in the database itself, so that
a restored or an emptied database never passes for an up-to-date one.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import asyncpg

ROOT: Final = Path(__file__).parents[1]
_SOURCES: Final = (
    "services/*/schema/**/*.py",
    "shared/eventlog/*.py",
    "shared/eventlog/*.sql",
    "deploy/provision.py",
)
_FIND: Final = "SELECT to_regclass('public.provisioned') IS NOT NULL"
_READ: Final = "SELECT fingerprint FROM public.provisioned"
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS public.provisioned (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        fingerprint text NOT NULL
    )
"""
_WRITE: Final = """
    INSERT INTO public.provisioned (fingerprint) VALUES ($1)
    ON CONFLICT (one) DO UPDATE SET fingerprint = excluded.fingerprint
"""


def fingerprint(passwords: Mapping[str, str], root: Path = ROOT) -> str:
    """Return the number of this code with these passwords of the roles; it tells nothing of them.

    The passwords are random and long, so a keyed hash of them can't be searched for.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(root)):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for service in sorted(passwords):
        digest.update(hmac.digest(passwords[service].encode(), service.encode(), "sha256"))
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for pattern in _SOURCES:
        yield from root.glob(pattern)


async def is_current(connection: asyncpg.Connection, wanted: str) -> bool:
    """Tell whether the database was provisioned by this code last."""
    if not await connection.fetchval(_FIND):
        return False
    return bool(await connection.fetchval(_READ) == wanted)


async def remember(connection: asyncpg.Connection, wanted: str) -> None:
    """Keep the number, after everything that it stands for is done."""
    await connection.execute(_TABLE)
    await connection.execute(_WRITE, wanted)
