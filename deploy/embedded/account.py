"""The unprivileged account that a database server runs as when we are root."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

ACCOUNT_NAME: Final = "quartermaster"
FALLBACK_NAME: Final = "nobody"
REACHABLE_HOME: Final = Path("/var/lib/quartermaster")


class Account(NamedTuple):
    """A user of this machine that has a passwd entry."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Return whom to become, or None when we are not root and stay who we are.

    As root the system user `quartermaster` is made once; where users cannot be made it is `nobody`.
    """
    if os.geteuid() != 0:
        return None
    entry = _lookup(ACCOUNT_NAME)
    if entry is None and (useradd := shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        shell = ["--shell", "/usr/sbin/nologin"]
        # two starts at once may both try: whoever comes second finds the user there
        subprocess.run([useradd, *options, *shell, ACCOUNT_NAME], check=False, capture_output=True)
        entry = _lookup(ACCOUNT_NAME)
    if entry is None:
        entry = pwd.getpwnam(FALLBACK_NAME)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def can_reach(path: Path, account: Account | None) -> bool:
    """Tell whether `account` may pass through every directory down to and including `path`."""
    if account is None:
        return True
    resolved = path.resolve()
    return all(_may_pass(directory, account) for directory in (resolved, *resolved.parents))


def _may_pass(directory: Path, account: Account) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def private_directory(path: Path, account: Account | None) -> Path:
    """Make `path` a directory that only `account` can read, and return where it really is.

    Below a directory that the account cannot pass (a root home), `path` becomes a link to a place
    under /var/lib/quartermaster; nobody's permissions are widened.
    """
    if path.is_symlink() or path.is_dir():
        return path.resolve(strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if can_reach(path.parent, account):
        path.mkdir(mode=0o700)
        place = path.resolve()
    else:
        REACHABLE_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=REACHABLE_HOME))
        path.symlink_to(place)
        (place / "belongs-to").write_text(f"{path.absolute()}\n")
    if account is not None:
        os.chown(place, account.uid, account.gid)
    return place
