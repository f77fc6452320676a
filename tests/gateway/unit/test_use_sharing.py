"""Gateways that tell each other what they accepted, with the network in the test's hands."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.auth.rate_limits import WINDOW_S, RateLimits
from services.gateway.auth.use_sharing import NONCES_AT_ONCE, Ledger, UseSharing, UseTold
from shared.security.nonces import NonceCache
from shared.testing.clock import FakeClock

GATEWAYS = 3


class Replica:
    """One gateway, as far as the use of keypairs is concerned."""

    def __init__(self, name, clock):
        self.clock = clock
        self.ledger = Ledger()
        self.limits = RateLimits(on_accept=self.ledger.accepted)
        self.nonces = NonceCache(on_use=self.ledger.nonce_used)
        self.sharing = UseSharing(name, self.ledger, self.limits, self.nonces, clock)

    def take(self, limit):
        return self.limits.take("AK", limit, self.clock.monotonic()).rejection is None

    def used(self):
        return self.limits.used("AK", self.clock.monotonic())

    def use_nonce(self, nonce, *, ahead_s=0):
        now = self.clock.now().timestamp()
        return self.nonces.use("AK", nonce, expires=now + 300 + ahead_s, now=now)


def replicas(count=GATEWAYS):
    clock = FakeClock()
    return clock, [Replica(f"g{number}", clock) for number in range(count)]


async def tell(sender, receivers):
    while (message := sender.sharing.next_message()) is not None:
        sent = msgspec.json.decode(msgspec.json.encode(message), type=UseTold)
        for receiver in receivers:
            await receiver.sharing.hear(sent)


STEPS = st.one_of(
    st.tuples(st.just("take"), st.integers(0, GATEWAYS - 1)),
    st.tuples(st.just("tell"), st.integers(0, GATEWAYS - 1)),
    st.tuples(st.just("wait"), st.integers(1, 300)),
)


@given(st.lists(STEPS, max_size=120), st.integers(0, 8))
async def test_no_more_than_the_limit_and_what_was_not_heard_of_is_ever_let_in(steps, limit):
    clock, gateways = replicas()
    accepted = []
    for step, number in steps:
        if step == "wait":
            clock.advance(number)
        elif step == "tell":
            await tell(gateways[number], gateways)
        else:
            untold = sum(
                other.ledger.untold.get("AK", 0)
                for other in gateways
                if other is not gateways[number]
            )
            if gateways[number].take(limit):
                accepted.append(clock.monotonic())
                within = [at for at in accepted if at > clock.monotonic() - WINDOW_S]
                assert len(within) <= limit + untold
                assert len(within) <= limit * GATEWAYS
    for gateway in gateways:
        await tell(gateway, gateways)
    now = clock.monotonic()
    within = sum(at > now - WINDOW_S for at in accepted)
    assert all(gateway.used() >= within for gateway in gateways)


async def test_everyone_knows_the_same_once_everything_is_told():
    _, gateways = replicas()
    for number, gateway in enumerate(gateways):
        assert all(gateway.take(100) for _ in range(10 + number))
    for gateway in gateways:
        await tell(gateway, gateways)
    assert [gateway.used() for gateway in gateways] == [33, 33, 33]
    assert not any(gateway.sharing.missed.is_set() for gateway in gateways)
    assert not any(gateway.take(33) for gateway in gateways)


async def test_the_nearer_the_limit_the_sooner_it_is_told():
    _, (gateway,) = replicas(1)
    for _ in range(10):
        gateway.take(100)
    assert gateway.ledger.something_to_tell.is_set()
    assert not gateway.ledger.urgent.is_set()
    gateway.take(100)  # 11 of which nobody knows, 89 left
    gateway.take(100)
    assert gateway.ledger.urgent.is_set()
    for remaining in (8, 3, 0):
        fresh = Ledger()
        fresh.accepted("AK", remaining)
        assert fresh.urgent.is_set() is (remaining < 8)
    unlimited = Ledger()
    for _ in range(1_000):
        unlimited.accepted("AK", None)
    assert not unlimited.urgent.is_set()


async def test_a_nonce_that_was_told_is_used_everywhere():
    _, (first, second, _) = replicas()
    assert first.use_nonce("nonce-1") == "fresh"
    await tell(first, [second])
    assert second.use_nonce("nonce-1") == "used"
    assert second.use_nonce("nonce-2") == "fresh"


async def test_only_what_was_signed_ahead_of_our_time_must_survive_a_restart():
    _, (gateway,) = replicas(1)
    gateway.use_nonce("nonce-1")
    gateway.use_nonce("nonce-2", ahead_s=-200)
    assert gateway.ledger.unsaved.nonces == []
    gateway.use_nonce("nonce-3", ahead_s=1)
    assert [used.nonce for used in gateway.ledger.unsaved.nonces] == ["nonce-3"]


async def test_many_nonces_go_in_several_messages_and_none_is_left_out():
    _, (first, second) = replicas(2)
    for number in range(NONCES_AT_ONCE + 5):
        first.use_nonce(f"nonce-{number}")
    await tell(first, [second])
    assert second.nonces.size == NONCES_AT_ONCE + 5
    assert not second.sharing.missed.is_set()


async def test_a_message_that_was_missed_is_noticed():
    _, (first, second) = replicas(2)
    for _ in range(2):
        first.take(None)
        assert first.sharing.next_message() is not None  # and nobody hears it
    first.take(None)
    await tell(first, [second])
    assert second.sharing.missed.is_set()
    second.sharing.missed.clear()
    first.take(None)
    await tell(first, [second])
    assert not second.sharing.missed.is_set()


async def test_what_one_has_told_oneself_is_not_counted_twice():
    _, (gateway,) = replicas(1)
    gateway.take(10)
    await tell(gateway, [gateway])
    assert gateway.used() == 1


async def test_the_use_elsewhere_is_the_last_use():
    clock, (first, second) = replicas(2)
    first.take(10)
    clock.advance(5)
    await tell(first, [second])
    assert second.limits.last_used_at("AK") == clock.now()
