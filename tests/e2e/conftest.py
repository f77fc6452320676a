from contextlib import closing

import pytest

from deploy.embedded.ports import free_port
from shared.testing.installation import Installation


@pytest.fixture(scope="package")
def installation(tmp_path_factory):
    """One whole installation for all tests of this package."""
    made = Installation(tmp_path_factory.mktemp("qm") / "var", free_port())
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="package")
def client(installation):
    """A client logged in as the first administrator."""
    with closing(installation.client()) as made:
        yield made
