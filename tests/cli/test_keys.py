"""`qm keys` against a whole installation: after a rotation everything is as before."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.gateway.cli.signing import KeypairSignature
from shared.security.sealing import Keyring, NodeKey
from shared.testing.installation import Installation

pytestmark = pytest.mark.e2e
PASSWORD = "abcd123!"


class Person:
    """Somebody with a keypair, a password and a token of before."""

    def __init__(self, installation: Installation, administrator: httpx.Client) -> None:
        self._endpoint = installation.endpoint
        name = f"p{uuid.uuid4().hex[:10]}"
        self.email = f"{name}@example.org"
        made = administrator.post(
            "/v1/users",
            json={"email": self.email, "username": name, "password": PASSWORD},
            headers={"Idempotency-Key": name},
        )
        assert made.status_code == 201, made.text
        self.creation, self.id = made.json(), made.json()["id"]
        keypair = made.json()["keypair"]
        self.token = self.log_in()
        self.signed = httpx.Client(
            base_url=self._endpoint,
            auth=KeypairSignature(keypair["access_key"], keypair["secret_key"]),
        )

    def log_in(self) -> str:
        who = {"email": self.email, "password": PASSWORD}
        answer = httpx.post(f"{self._endpoint}/v1/auth/login", json=who, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])

    def is_served(self, administrator: httpx.Client) -> bool:
        """Tell whether password, token and keypair are good, and the person's name is read."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        ways = [
            httpx.get(f"{self._endpoint}/v1/users/me", headers=bearer, timeout=30),
            self.signed.get("/v1/users/me"),
            administrator.get(f"/v1/users/{self.id}"),
        ]
        assert self.log_in()
        return [way.json().get("email") for way in ways] == [self.email] * 3


@pytest.fixture(scope="module")
def administrator(installation) -> Iterator[httpx.Client]:
    with installation.client() as client:
        yield client


@pytest.fixture(scope="module")
def person(installation, administrator) -> Iterator[Person]:
    made = Person(installation, administrator)
    yield made
    made.signed.close()


def key_file(installation: Installation) -> Path:
    return installation.data / "secrets" / "master-key.json"


def rotate(admin, installation, *options):
    return admin.qm("keys", "rotate", "--data", str(installation.data), *options)


def greeting(admin) -> str:
    """Run a session whose environment travels sealed: gateway, scheduler, node."""
    done = admin.qm(
        *("session", "run", "--cpu", "0.2", "--mem", "64m", "--env", "GREETING=hi", "--follow"),
        *("--", "sh", "-c", "echo $GREETING"),
    )
    return done.stdout + done.stderr


def test_nothing_is_issued_anew_by_two_rotations(admin, installation, administrator, person):
    first = Keyring.load(key_file(installation)).current
    for version in (first + 1, first + 2):
        done = rotate(admin, installation, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert told["key_version"] == version
        assert (told["remaining"], told["unreadable"]) == (0, 0)
        assert told["resealed"] >= 6, "two people, each with a key, a password and a keypair"
        assert Keyring.load(key_file(installation)).current == version
        assert NodeKey.load(key_file(installation).with_name("node-key.json")).current == version
        assert person.is_served(administrator)
        assert "hi\n" in greeting(admin)
    again = administrator.post("/v1/system/keys/reseal")
    assert (again.status_code, again.json()["resealed"]) == (200, 0)


def test_a_rotation_that_is_killed_with_the_service_is_gone_on_with(
    admin, installation, administrator, person
):
    pid = installation.pid("users")
    os.kill(pid, signal.SIGSTOP)  # it is in the middle, for as long as it takes to kill both
    try:
        rotating = admin.start("keys", "rotate", "--data", str(installation.data))
        assert "Master key" in rotating.stderr.readline()
        rotating.kill()
        rotating.communicate()
    finally:
        os.kill(pid, signal.SIGKILL)
    installation.wait_replaced("users", pid)
    installation.wait_ready()
    done = admin.qm("keys", "reseal")
    assert done.returncode == 0, done.stderr
    version = Keyring.load(key_file(installation)).current
    assert done.stdout.split()[:2] == ["key", str(version)]
    assert person.is_served(administrator)
    told = json.loads(rotate(admin, installation, "--json").stdout)
    assert (told["key_version"], told["remaining"]) == (version + 1, 0)
    assert person.is_served(administrator)


def test_an_answer_of_before_is_given_again_after_it(admin, installation, administrator, person):
    assert rotate(admin, installation).returncode == 0
    body = {"email": person.email, "username": person.email.partition("@")[0]}
    again = administrator.post(
        "/v1/users",
        json={**body, "password": PASSWORD},
        headers={"Idempotency-Key": body["username"]},
    )
    assert (again.status_code, again.json()) == (201, person.creation)


def test_whoever_may_not_renew_the_keys_changes_no_file(terminal, installation, person):
    before = key_file(installation).read_text()
    terminal.environ |= {"QM_TOKEN": person.token, "QM_ENDPOINT": installation.endpoint}
    done = rotate(terminal, installation)
    assert done.returncode == 1
    assert "only a superadmin" in done.stderr
    assert key_file(installation).read_text() == before
    refused = terminal.qm("keys", "reseal")
    assert (refused.returncode, "role" in refused.stderr) == (1, True)


def test_a_directory_without_keys_is_told(admin, tmp_path):
    done = admin.qm("keys", "rotate", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "no master key" in done.stderr
    assert list(tmp_path.glob("**/*key*")) == []


def test_a_service_that_does_not_see_the_file_is_told(admin, installation, tmp_path):
    copy = tmp_path / "secrets"
    copy.mkdir()
    Keyring.load(key_file(installation)).save(copy / "master-key.json")
    done = admin.qm("keys", "rotate", "--data", str(copy))
    assert done.returncode == 1
    assert "restart the services" in done.stderr
