"""What the gateway keeps in memory of keypairs: fetched when issued, gone when deleted."""

import pytest

from services.gateway.auth.directory import Directory
from services.gateway.auth.secrets import KeypairSecrets
from services.gateway.auth.use_sharing import Ledger
from services.gateway.background import Upkeep
from services.gateway.follower import Follower
from services.gateway.live import LiveHub
from services.gateway.telemetry.queues import Queues
from shared.contracts.users import (
    KeypairDeactivated,
    KeypairDeleted,
    UserActivated,
    UserDeactivated,
    UserErased,
    UserRoleChanged,
)
from shared.projections.projection import Commit
from shared.security.sealing import Keyring
from shared.security.transport import seal_secret_key
from shared.testing.clock import FakeClock
from tests.gateway.unit.test_directory import CREATED, ISSUED, KEY, recorded


class Parts:
    """The memory of a gateway and what follows the events for it."""

    def __init__(self):
        clock, keyring = FakeClock(), Keyring.generate()
        self.directory, self.live, self.ledger = Directory(), LiveHub(clock), Ledger()
        self.secrets = KeypairSecrets(keyring, queries=None)
        self.secrets.put("AK1", seal_secret_key(keyring, "AK1", "s" * 40))
        self.upkeep = Upkeep(
            runner=None,
            reads=None,
            follower=Follower(self.directory, Queues(clock), self.live),
            directory=self.directory,
            secrets=self.secrets,
            ledger=self.ledger,
            answers=None,
            clock=clock,
        )
        self.commit(CREATED, ISSUED)

    def commit(self, *events):
        batch = [recorded(position, event) for position, event in enumerate(events, start=1)]
        self.upkeep.committed(Commit("users", "users", len(batch), batch))

    def stream(self, user_id="u1", credential=None):
        return self.live.subscribe(user_id, frozenset({"users"}), credential=credential)


async def test_the_secret_and_the_use_of_a_deleted_keypair_are_forgotten():
    parts = Parts()
    parts.commit(KeypairDeactivated(**KEY))
    assert parts.secrets.cached("AK1") is not None  # it may be activated again
    parts.commit(KeypairDeleted(**KEY))
    assert parts.secrets.cached("AK1") is None
    assert "AK1" not in parts.directory.keypairs
    assert parts.ledger.unsaved.deleted == {"AK1"}


@pytest.mark.parametrize(
    "event",
    [
        UserDeactivated(user_id="u1"),
        UserErased(user_id="u1"),
        UserRoleChanged(user_id="u1", role="monitor"),
    ],
)
async def test_the_open_streams_of_whoever_is_refused_or_sees_something_else_end(event):
    parts = Parts()
    mine, others = parts.stream(credential="AK1"), parts.stream("u2")
    parts.commit(UserActivated(user_id="u1"))
    assert not mine.is_closed
    parts.commit(event)
    assert (mine.is_closed, others.is_closed) == (True, False)


@pytest.mark.parametrize("event", [KeypairDeactivated(**KEY), KeypairDeleted(**KEY)])
async def test_streams_end_with_the_keypair_that_opened_them_and_no_others(event):
    parts = Parts()
    signed, logged_in = parts.stream(credential="AK1"), parts.stream(credential="l1")
    parts.commit(event)
    assert (signed.is_closed, logged_in.is_closed) == (True, False)
