"""A hundred thousand changes of valid signed requests, through the gateway's own authenticator."""

import random
from collections import Counter

import pytest

from services.gateway.auth.authenticator import Authenticator
from services.gateway.auth.directory import Directory, KnownKeypair, KnownUser
from services.gateway.auth.principals import Principal
from services.gateway.auth.secrets import KeypairSecrets
from shared.kernel.rejections import Rejection
from shared.security.nonces import NonceCache
from shared.security.sealing import Keyring
from shared.security.transport import seal_secret_key
from shared.testing.clock import FakeClock
from tests.security.fuzzing import CHANGES, KEYS, protected, valid
from tests.security.signing import NOW

MUTATIONS = 100_000
REQUESTS = 500
SEED = 20261123


def gateway(nonces=None):
    """Return the real path from headers to a caller, with four keypairs in memory."""
    directory, keyring = Directory(), Keyring.generate()
    secrets = KeypairSecrets(keyring, queries=None)
    directory.users["u"] = KnownUser("u", "superadmin", "active", "default")
    for access_key, secret_key in KEYS.items():
        directory.keypairs[access_key] = KnownKeypair(access_key, "u", "active", None)
        secrets.put(access_key, seal_secret_key(keyring, access_key, secret_key))
    clock = FakeClock()
    clock.jump(NOW - clock.now().timestamp())
    return Authenticator(directory, secrets, nonces or NonceCache(), clock)


async def test_no_mutation_of_a_valid_request_is_accepted_and_every_original_is():
    """Each original is tried before any of its changes and after all of them.

    The nonce is still unused until then, so an accepted change could not hide behind a replay.
    """
    chance, authenticator = random.Random(SEED), gateway()
    tried, codes, accepted = 0, Counter[str](), []
    for _ in range(REQUESTS):
        original = valid(chance)
        about = protected(original)
        assert isinstance(await gateway().authenticate(original), Principal)
        for _ in range(MUTATIONS // REQUESTS):
            mutated = original
            while protected(mutated) == about:
                mutated = chance.choice(CHANGES)(chance, original)
            outcome = await authenticator.authenticate(mutated)
            tried += 1
            if not isinstance(outcome, Rejection):
                accepted.append((original, mutated, outcome))
                continue
            assert outcome.kind == "unauthenticated"
            codes[outcome.code] += 1
        assert isinstance(await authenticator.authenticate(original), Principal)
    assert tried >= MUTATIONS
    # with both signature headers gone nothing is offered at all, which is nobody's principal
    assert [item for item in accepted if item[2] is not None] == []
    assert {
        "signature_malformed",
        "signature_algorithm",
        "signature_missing_component",
        "signature_stale",
        "signature_invalid",
        "digest_mismatch",
    } <= set(codes), codes


async def test_the_fuzz_would_notice_a_verifier_that_does_not_look(monkeypatch):
    """A verifier that checks one thing less lets some of the changes in."""
    authenticator = gateway()
    monkeypatch.setattr("shared.security.signatures._digest_matches", lambda _request: True)
    chance = random.Random(SEED)
    let_in = 0
    for _ in range(2_000):
        original = valid(chance)
        mutated = chance.choice(CHANGES)(chance, original)
        outcome = await authenticator.authenticate(mutated)
        let_in += protected(mutated) != protected(original) and isinstance(outcome, Principal)
    assert let_in > 0


async def test_a_replay_is_refused_whatever_else_is_right():
    authenticator, chance = gateway(), random.Random(SEED)
    for _ in range(200):
        original = valid(chance)
        assert isinstance(await authenticator.authenticate(original), Principal)
        again = await authenticator.authenticate(original)
        assert isinstance(again, Rejection)
        assert again.code == "signature_replayed"


async def test_what_another_gateway_told_us_of_is_a_replay_here():
    chance, told = random.Random(SEED), []
    there = gateway(NonceCache(on_use=lambda *used: told.append(used)))
    nonces = NonceCache()
    here = gateway(nonces)
    original = valid(chance)
    assert isinstance(await there.authenticate(original), Principal)
    for access_key, nonce, expires_at, now in told:
        assert nonces.learn(access_key, nonce, expires=expires_at, now=now)
    again = await here.authenticate(original)
    assert isinstance(again, Rejection)
    assert again.code == "signature_replayed"


@pytest.mark.parametrize("access_key", [*KEYS, "AKIANOBODYNOBODYNOBO"])
async def test_a_known_and_an_unknown_key_take_the_same_steps(access_key, monkeypatch):
    """The work is the same, so the time is: one mac over the same text, compared in full."""
    from shared.security import signatures

    chance, steps = random.Random(SEED), []
    macs, compared = signatures.hmac.digest, signatures.hmac.compare_digest

    class Watched:
        def digest(self, key, base, name):
            steps.append(("mac", len(key), len(base), name))
            return macs(key, base, name)

        def compare_digest(self, one, other):
            steps.append(("compare", len(one), len(other)))
            return compared(one, other)

    original = valid(chance)
    wrong = original._replace(
        headers={
            **original.headers,
            "signature-input": original.headers["signature-input"].replace(
                next(key for key in KEYS if key in original.headers["signature-input"]), access_key
            ),
            "signature": original.headers["signature"].partition("=")[0] + f"=:{'A' * 43}=:",
        }
    )
    monkeypatch.setattr(signatures, "hmac", Watched())
    outcome = await gateway().authenticate(wrong)
    assert isinstance(outcome, Rejection)
    assert outcome.code == "signature_invalid"
    assert [step[0] for step in steps] == ["mac", "compare"]
    assert steps[0][1] == 40
