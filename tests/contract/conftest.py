import pytest

from shared.contracts.base import LOG_SERVICES
from shared.eventlog.codecs import codec_for


@pytest.fixture(scope="session")
def codecs():
    """The codec of every service that has a log."""
    return {service: codec_for(service) for service in LOG_SERVICES}
