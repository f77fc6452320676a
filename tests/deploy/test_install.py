"""The environment is made once, kept in step, and never trusted when it is half made."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from deploy.embedded import install
from deploy.embedded.packages import SystemPackage, wish_for
from deploy.embedded.terminal import SetupError


def wheel(directory: Path, version: str) -> str:
    """Make a package with one module and return its hashed requirement."""
    path = directory / f"tiny-{version}-py3-none-any.whl"
    info = f"tiny-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", f"VERSION = '{version}'\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/RECORD,,\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"tiny=={version} \\\n    --hash=sha256:{digest}\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A repository of two wheels, its `.venv` not made yet."""
    root = tmp_path_factory.mktemp("root")
    (root / "wheels").mkdir()
    (root / "deploy" / "requirements").mkdir(parents=True)
    return root


@pytest.fixture(autouse=True)
def there(root: Path, monkeypatch):
    venv = root / ".venv"
    monkeypatch.setattr(install, "ROOT", root)
    monkeypatch.setattr(install, "VENV", venv)
    monkeypatch.setattr(install, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(install, "_BEGUN", venv / "qm-installing")
    # the user's own configuration of pip decides where packages come from
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "wheels"))


def require(root: Path, text: str) -> None:
    for name in ("runtime", "dev"):
        (root / "deploy" / "requirements" / f"{name}.txt").write_text(text)


def version(root: Path) -> str:
    command = [str(root / ".venv/bin/python"), "-c", "import tiny; print(tiny.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_is_installed_is_not_looked_at_again_until_the_requirements_change(root, monkeypatch):
    require(root, wheel(root / "wheels", "1"))
    assert install.ensure_installed("runtime") == root / ".venv/bin/python"
    assert version(root) == "1"

    with monkeypatch.context() as without:
        without.setattr(install, "_pip_install", pytest.fail)
        install.ensure_installed("runtime")

    require(root, wheel(root / "wheels", "2"))
    install.ensure_installed("runtime")
    assert version(root) == "2"


def test_the_larger_selection_holds_the_smaller(root, monkeypatch):
    install.ensure_installed("dev")
    monkeypatch.setattr(install, "_pip_install", pytest.fail)
    install.ensure_installed("runtime")


def test_a_package_that_is_not_the_pinned_one_is_refused_in_pips_words(root):
    good = wheel(root / "wheels", "3")
    require(root, good.replace(good[-10:-1], "000000000"))
    with pytest.raises(SetupError, match=r"(?i)hash"):
        install.ensure_installed("runtime")


def test_what_an_interrupted_installation_left_is_thrown_away(root):
    half_made = root / ".venv" / "half-made"
    half_made.touch()
    require(root, wheel(root / "wheels", "3"))
    assert (root / ".venv" / "qm-installing").exists()
    install.ensure_installed("runtime")
    assert version(root) == "3"
    assert not half_made.exists()


def test_an_optional_package_that_could_not_be_had_is_named_and_not_tried_again(
    tmp_path: Path, monkeypatch, capsys
):
    tries = []
    monkeypatch.setattr("deploy.embedded.packages.provide", tries.append)
    package = SystemPackage("no-such", ("no-such-program",), "nothing glows")
    for _ in range(2):
        wish_for(package, tmp_path)
        said = capsys.readouterr().out
        assert "Without no-such nothing glows" in said
        assert "apt-get install" in said
    assert len(tries) == 1
