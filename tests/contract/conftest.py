import pytest
from shared.eventlog.codec import EventCodec

from shared.contracts.agents import AgentsEvent
from shared.contracts.policies import PoliciesEvent
from shared.contracts.scheduler import SchedulerEvent
from shared.contracts.users import UsersEvent


@pytest.fixture(scope="session")
def codecs():
    """The codec of every service that publishes events."""
    unions = {
        "users": UsersEvent,
        "policies": PoliciesEvent,
        "scheduler": SchedulerEvent,
        "agents": AgentsEvent,
    }
    return {service: EventCodec(service, union) for service, union in unions.items()}
