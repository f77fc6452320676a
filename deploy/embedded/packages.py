"""Packages of the operating system that a feature or a test needs."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

from deploy.embedded.terminal import Step, say

_APT: Final = (
    *("apt-get", "-q", "-y", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=30"),
    *("-o", "DPkg::Lock::Timeout=120"),
)


class SystemPackage(NamedTuple):
    """A Debian package, the file that shows that it is there, and what is missing without it."""

    name: str
    evidence: tuple[str, ...]
    without: str

    def is_there(self) -> bool:
        """Tell whether one of the files exists (a bare name is looked up on the PATH)."""
        return any(
            Path(item).exists() if item.startswith("/") else shutil.which(item) is not None
            for item in self.evidence
        )

    def command(self) -> str:
        """Return what an administrator types to install it."""
        return f"sudo apt-get install --no-install-recommends {self.name}"


PYTHON_VENV: Final = SystemPackage("python3-venv", (), "virtual environments cannot be made")
BUBBLEWRAP: Final = SystemPackage(
    "bubblewrap", ("bwrap",), "sessions are not isolated from this machine's files and processes"
)
CHROMIUM: Final = SystemPackage(
    "chromium", ("chromium", "chromium-browser"), "the tests of the console cannot run"
)
# the browser's driver is a program of its own and needs it
LIBATOMIC: Final = SystemPackage(
    "libatomic1",
    ("/usr/lib/x86_64-linux-gnu/libatomic.so.1", "/usr/lib/aarch64-linux-gnu/libatomic.so.1"),
    "the tests of the console cannot run",
)
CJK_FONTS: Final = SystemPackage(
    "fonts-noto-cjk",
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",),
    "Korean text is not drawn in the tests of the console",
)
# without its recommendations it brings no headers of the C library: the tests need none
C_COMPILER: Final = SystemPackage(
    "gcc", ("gcc",), "the tests of GPUs on a stand-in driver are left out"
)

FOR_TESTS: Final = (BUBBLEWRAP, CHROMIUM, LIBATOMIC, CJK_FONTS, C_COMPILER)


def provide(package: SystemPackage) -> bool:
    """Install `package` where we are root on Debian; return whether it is there now."""
    if package.is_there():
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    with Step(f"Installing the system package {package.name}") as step:
        if _apt("install", "--no-install-recommends", package.name):
            return True
        step.progress("reading the package lists first")
        _apt("update")
        return _apt("install", "--no-install-recommends", package.name)


def _apt(*arguments: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*_APT, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment,
    )
    return done.returncode == 0


def wish_for(package: SystemPackage, memory: Path) -> None:
    """Install an optional package, or say what is missing without it and how to install it.

    A failed attempt is remembered beside the environment (`memory`), so that a machine without
    a network does not wait for it at each start.
    """
    tried = memory / f"qm-without-{package.name}"
    if package.is_there():
        tried.unlink(missing_ok=True)
        return
    if not tried.exists() and provide(package):
        return
    tried.touch()
    say(f"  Without {package.name} {package.without}. To install it: {package.command()}")
