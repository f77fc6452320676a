"""The virtual environment: made once, kept in step with the pinned requirements.

Only the standard library: this runs before anything is installed. Where packages come from is the
business of the user's own pip configuration.
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from deploy.embedded.packages import PYTHON_VENV, provide
from deploy.embedded.terminal import SetupError, Step

ROOT: Final = Path(__file__).resolve().parents[2]
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
_BEGUN: Final = VENV / "qm-installing"


def ensure_installed(selection: str) -> Path:
    """Install deploy/requirements/<selection>.txt unless that is done; return the interpreter.

    `dev` includes `runtime`. SetupError tells what failed and what to do.
    """
    requirements = ROOT / "deploy" / "requirements" / f"{selection}.txt"
    wanted = _fingerprint(requirements)
    if not _is_installed(selection, wanted):
        with _only_one():
            if not _is_installed(selection, wanted):
                _install(selection, requirements, wanted)
    return PYTHON


def _fingerprint(requirements: Path) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    return f"{version} {hashlib.sha256(requirements.read_bytes()).hexdigest()}"


def _stamp(selection: str) -> Path:
    return VENV / f"qm-{selection}-installed"


def _is_installed(selection: str, wanted: str) -> bool:
    stamp = _stamp(selection)
    try:
        done = stamp.read_text() == wanted and PYTHON.exists() and not _BEGUN.exists()
    except FileNotFoundError:
        return False
    if done:
        stamp.touch()  # newer than the requirements again: the launcher's quick look sees it
    return done


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Let one launcher install at a time."""
    directory = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _install(selection: str, requirements: Path, wanted: str) -> None:
    interrupted = _BEGUN.exists()
    if interrupted or not PYTHON.exists():
        _make_environment()
    _BEGUN.touch()
    for old in VENV.glob("qm-*-installed"):
        old.unlink()
    _pip_install(requirements)
    # our own code too, so that the first start does not have to
    ours = [str(ROOT / name) for name in ("shared", "services", "deploy")]
    subprocess.run([str(PYTHON), "-m", "compileall", "-q", "-j", "0", *ours], check=False)
    # the larger selection holds the smaller at the same versions
    for name in ("runtime", "dev") if selection == "dev" else ("runtime",):
        stamped = requirements.with_name(f"{name}.txt")
        _stamp(name).write_text(wanted if name == selection else _fingerprint(stamped))
    _BEGUN.unlink()


def _make_environment() -> None:
    if find_spec("ensurepip") is None and not provide(PYTHON_VENV):
        raise SetupError(
            "this Python cannot make virtual environments; "
            f"run: {PYTHON_VENV.command()}, then try again."
        )
    with Step("Making a virtual environment in .venv"):
        done = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode != 0:
        raise SetupError(f"no virtual environment could be made:\n{done.stdout}{done.stderr}")


def _pip_install(requirements: Path) -> None:
    total = sum("==" in line for line in requirements.read_text().splitlines())
    command = [
        *(str(PYTHON), "-m", "pip", "install", "--require-hashes", "--no-deps", "--no-input"),
        *("--disable-pip-version-check", "--progress-bar", "off", "-r", str(requirements)),
    ]
    tail: deque[str] = deque(maxlen=25)
    count = 0
    with Step(f"Installing {total} Python packages ({requirements.stem})") as step:
        pip = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert pip.stdout is not None  # noqa: S101  # asked for a pipe
        for line in pip.stdout:
            tail.append(line)
            words = line.split()
            if words[:1] in (["Collecting"], ["Requirement"]):
                count += 1
                name = next(word for word in words if "==" in word).partition("==")[0]
                step.progress(f"{count} of {total}: {name}")
            elif words[:1] == ["Installing"]:
                step.progress("unpacking")
        if pip.wait() != 0:
            raise SetupError(f"pip could not install the packages:\n{''.join(tail)}")
