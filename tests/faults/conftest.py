from contextlib import closing

import pytest

from deploy.embedded.ports import free_port
from shared.testing.installation import Installation
from tests.faults.witness import Witness


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """One whole installation for all kills of a file; it must survive them all."""
    made = Installation(tmp_path_factory.mktemp("qm") / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="module")
def client(installation):
    """A client logged in as the first administrator."""
    with closing(installation.client()) as made:
        yield made


@pytest.fixture
def witness():
    """Counts how often each session really ran."""
    made = Witness()
    yield made
    made.close()
