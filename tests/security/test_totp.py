"""One-time passwords against the RFC's own numbers, and that no code is good twice."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from shared.security.totp import (
    SEED_BYTES,
    STEP_S,
    code_at,
    matching_step,
    new_seed,
    parse_seed,
    provisioning_uri,
    render_seed,
    step_at,
)

RFC_SEED = b"12345678901234567890"
# RFC 6238, appendix B, SHA-1; the last six of its eight digits are the code of six digits
RFC_6238 = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
# RFC 4226, appendix D: the codes of the first counters
RFC_4226 = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583")
NOON = datetime(2030, 1, 1, 12, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "code"), RFC_6238)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    assert code_at(RFC_SEED, step_at(moment)) == code[-6:]
    assert matching_step(RFC_SEED, code[-6:], moment) == seconds // STEP_S


def test_codes_are_those_of_rfc_4226() -> None:
    assert tuple(code_at(RFC_SEED, step) for step in range(len(RFC_4226))) == RFC_4226


@pytest.mark.parametrize(("steps_off", "is_good"), [(-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_a_code_is_good_in_its_step_and_those_beside_it(steps_off: int, is_good: int) -> None:
    step = step_at(NOON)
    shown = code_at(RFC_SEED, step)
    moment = NOON + timedelta(seconds=STEP_S * steps_off)
    assert matching_step(RFC_SEED, shown, moment) == (step if is_good else None)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "12 345", "-12345"])
def test_what_is_no_code_matches_nothing(code: str) -> None:
    assert matching_step(RFC_SEED, code, NOON) is None


def test_a_code_may_be_typed_in_two_groups() -> None:
    shown = code_at(RFC_SEED, step_at(NOON))
    assert matching_step(RFC_SEED, f"{shown[:3]} {shown[3:]}", NOON) == step_at(NOON)


def test_a_code_of_another_seed_is_wrong() -> None:
    other = bytes(range(SEED_BYTES))
    assert matching_step(other, code_at(RFC_SEED, step_at(NOON)), NOON) is None


@for_all(
    seed=st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES),
    tries=st.lists(st.tuples(st.integers(0, 40), st.integers(-2, 2)), min_size=2, max_size=40),
)
def test_no_code_is_accepted_twice(seed: bytes, tries: list[tuple[int, int]]) -> None:
    moment, last, accepted = NOON, -1, []
    for seconds, off in tries:
        moment += timedelta(seconds=seconds)
        shown = code_at(seed, step_at(moment) + off)
        step = matching_step(seed, shown, moment, after=last)
        if step is not None:
            accepted.append(step)
            assert code_at(seed, step) == shown
            last = step
        assert matching_step(seed, shown, moment, after=last) is None
    assert accepted == sorted(set(accepted))


def test_a_seed_is_random_and_reads_back() -> None:
    seed = new_seed()
    assert len(seed) == SEED_BYTES
    assert seed != new_seed()
    assert parse_seed(render_seed(seed)) == seed
    assert len(render_seed(seed)) == 32
    with pytest.raises(ValueError, match="base32"):
        parse_seed("1!")


def test_the_address_for_authenticators_says_all_they_need() -> None:
    uri = urlsplit(provisioning_uri(render_seed(RFC_SEED), "kim@example.org"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert uri.path == "/Quartermaster:kim%40example.org"
    fields = parse_qs(uri.query)
    assert fields["secret"] == [render_seed(RFC_SEED)]
    assert fields["issuer"] == ["Quartermaster"]
    assert (fields["digits"], fields["period"], fields["algorithm"]) == (["6"], ["30"], ["SHA1"])
