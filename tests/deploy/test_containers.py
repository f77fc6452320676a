"""What the container files say fits the services, as far as it shows without an engine."""

import json
import re
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest
import yaml

from deploy.compose.secrets import generate
from deploy.embedded.roster import NODE, SERVICES, module_of
from services.agents.node.settings import NodeSettings
from shared.runtime.settings import Settings
from shared.security.sealing import Keyring, NodeKey

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy/compose/compose.yaml").read_text())
DOCKERFILE = (ROOT / "deploy/containers/Dockerfile").read_text()


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    directory = tmp_path_factory.mktemp("compose") / "secrets"
    generate(directory)
    return directory


def env_of(directory: Path, name: str) -> dict[str, str]:
    lines = (directory / f"{name}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_every_service_and_the_node_have_a_container_with_their_name_as_command():
    for name in (*SERVICES, NODE, "provision"):
        assert COMPOSE["services"][name]["command"] == [name]
        assert COMPOSE["services"][name]["env_file"] == f"secrets/{name}.env"
    assert set(COMPOSE["services"]) == {*SERVICES, NODE, "provision", "postgres", "nats"}


def test_every_file_that_is_mounted_is_generated(generated):
    text = (ROOT / "deploy/compose/compose.yaml").read_text()
    wanted = set(re.findall(r"secrets/([a-z-]+\.[a-z]+)", text)) - {"node.env"}
    assert {path.name for path in generated.iterdir()} >= wanted
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in generated.iterdir())


def test_services_are_told_only_settings_that_they_have(generated):
    known = {f"QM_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
    for name in SERVICES:
        assert set(env_of(generated, name)) <= known
    node = {f"QM_{field.name.upper()}" for field in msgspec.structs.fields(NodeSettings)}
    assert set(env_of(generated, NODE)) <= node
    assert "QM_DATABASE_URL" not in env_of(generated, NODE)
    assert "QM_MASTER_KEY_FILE" not in env_of(generated, NODE)


def test_generating_again_keeps_every_secret(generated):
    before = {path.name: path.read_text() for path in generated.iterdir()}
    generate(generated)
    assert {path.name: path.read_text() for path in generated.iterdir()} == before


def test_the_generated_files_are_accepted_by_those_who_read_them(generated):
    server = Path(sysconfig.get_path("scripts")) / "nats-server"
    done = subprocess.run(
        [str(server), "-t", "-c", str(generated / "nats.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    Keyring.load(generated / "master-key.json")
    assert NodeKey.load(generated / "node-key.json").agent_id == "compose"
    assert json.loads((generated / "admin-credentials.json").read_text())["endpoint"]


def test_the_image_copies_what_exists_and_starts_the_entry_point():
    for source in re.findall(r"^COPY (\S+)", DOCKERFILE, re.MULTILINE):
        assert (ROOT / source).exists()
    assert 'ENTRYPOINT ["python", "-P", "-m", "deploy.containers"]' in DOCKERFILE
    assert "USER quartermaster" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE


def test_an_unknown_command_is_refused_with_the_known_ones():
    done = subprocess.run(
        [sys.executable, "-m", "deploy.containers", "nonsense"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "scheduler" in done.stderr
    assert module_of("node") == "services.agents.node"
