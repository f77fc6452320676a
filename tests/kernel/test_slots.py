from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel import slots
from shared.kernel.rejections import FieldError

NAMES = st.sampled_from(["cpu", "mem", "cuda.device", "cuda.shares", "rocm.device"])
SLOTS = st.dictionaries(NAMES, st.integers(min_value=0, max_value=2**50))
LIMITS = st.dictionaries(NAMES, st.none() | st.integers(min_value=0, max_value=2**50))


@pytest.mark.parametrize(
    ("name", "raw", "amount"),
    [
        ("mem", "8g", 8 * 2**30),
        ("mem", "8G", 8 * 2**30),
        ("mem", "8GiB", 8 * 2**30),
        ("mem", "512m", 512 * 2**20),
        ("mem", "1.5g", 3 * 2**29),
        ("mem", 8589934592, 8589934592),
        ("mem", "1t", 2**40),
        ("mem", "1p", 2**50),
        ("cpu", 4, 4000),
        ("cpu", "4", 4000),
        ("cpu", 0.5, 500),
        ("cuda.shares", "0.333", 333),
        ("cuda.device", 1, 1000),
    ],
)
def test_an_amount_is_read_as_people_write_it(name, raw, amount):
    assert slots.parse_amount(name, raw) == amount


@pytest.mark.parametrize(
    ("name", "raw", "code"),
    [
        ("cpu", "-1", "not_a_number"),
        ("cpu", -1, "not_a_number"),
        ("cpu", "Infinity", "not_a_number"),
        ("cpu", float("nan"), "not_a_number"),
        ("cpu", True, "not_a_number"),
        ("cpu", [], "not_a_number"),
        ("cpu", "", "not_a_number"),
        ("cpu", "1e3", "not_a_number"),
        ("cpu", "\u0661", "not_a_number"),
        ("cpu", "8g", "unit_not_allowed"),
        ("cpu", "0.0001", "too_fine"),
        ("mem", "0.5", "too_fine"),
        ("mem", "1.0000000001k", "not_a_number"),
        ("mem", "9999999p", "too_large"),
        ("cpu", 1e30, "not_a_number"),
    ],
)
def test_a_wrong_amount_is_refused_with_its_code(name, raw, code):
    parsed = slots.parse_amount(name, raw)
    assert isinstance(parsed, FieldError)
    assert parsed.code == code


def test_every_wrong_entry_of_a_request_is_reported_at_once():
    errors = slots.parse_slots({"cpu": "x", "mem": "-", "Bad Name": 1, "cuda.device": None})
    assert isinstance(errors, tuple)
    assert [(error.field, error.code) for error in errors] == [
        ("cpu", "not_a_number"),
        ("mem", "not_a_number"),
        ("Bad Name", "slot_name"),
        ("cuda.device", "required"),
    ]


def test_zero_is_no_request_but_a_limit():
    assert slots.parse_slots({"cpu": 0}) == {}
    assert slots.parse_limits({"cpu": 0}) == {"cpu": 0}


def test_null_is_unlimited():
    assert slots.parse_limits({"cpu": None}) == {"cpu": None}
    assert slots.within({"cpu": 10**12}, {"cpu": None})
    assert slots.within({"cpu": 10**12}, {})
    assert not slots.within({"cpu": 1}, {"cpu": 0})


@given(SLOTS)
def test_rendering_and_parsing_return_the_same_amounts(amounts):
    rendered = slots.render_slots(amounts)
    assert slots.parse_limits(rendered) == amounts


@given(LIMITS)
def test_limits_survive_rendering(limits):
    assert slots.parse_limits(slots.render_limits(limits)) == limits


@given(st.decimals(min_value=0, max_value=10**6, places=3))
def test_a_count_is_exact_to_a_thousandth(number):
    assert slots.parse_amount("cpu", str(number)) == int(number * 1000)
    assert Decimal(slots.render_amount("cpu", int(number * 1000))) == number


@given(SLOTS, SLOTS)
def test_subtracting_what_was_added_changes_nothing(left, right):
    back = slots.subtract(slots.add(left, right), right)
    assert {name: amount for name, amount in back.items() if amount} == {
        name: amount for name, amount in left.items() if amount
    }


@given(SLOTS, SLOTS)
def test_a_request_fits_exactly_when_nothing_is_short(request_, free):
    assert slots.fits(request_, free) == (not slots.shortage(request_, free))
    rest = slots.subtract(free, request_)
    assert slots.fits(request_, free) == all(rest[name] >= 0 for name in request_)


@given(SLOTS, LIMITS)
def test_within_means_that_no_slot_exceeds(amounts, limits):
    over = slots.excess(amounts, limits)
    assert slots.within(amounts, limits) == (not over)
    for name, amount in over.items():
        ceiling = limits[name]
        assert ceiling is not None
        assert amounts[name] == ceiling + amount


@given(SLOTS, st.integers(min_value=0, max_value=100))
def test_multiplying_is_repeated_addition(amounts, factor):
    total: slots.Slots = {}
    for _ in range(factor):
        total = slots.add(total, amounts)
    assert all(slots.multiply(amounts, factor)[name] == total.get(name, 0) for name in amounts)


@given(st.text(max_size=30))
def test_no_text_makes_the_parser_fail(text):
    assert isinstance(slots.parse_amount("mem", text), int | FieldError)


@given(SLOTS, LIMITS)
def test_what_was_rendered_is_read_back_as_it_was(amounts, limits):
    assert slots.slots_of(slots.render_slots(amounts)) == amounts
    assert slots.limits_of(slots.render_limits(limits)) == limits


@pytest.mark.parametrize(
    ("name", "amount", "said"),
    [
        ("mem", 0, "0 B"),
        ("mem", 1023, "1023 B"),
        ("mem", 96 * 2**20, "96 MiB"),
        ("mem", 3 * 2**29, "1.5 GiB"),
        ("mem", -(2**30), "-1 GiB"),
        ("mem", 2**59, "512 PiB"),
        ("cuda.mem", 2**40 + 2**33, "1.01 TiB"),
        ("cpu", 1500, "1.5"),
    ],
)
def test_people_read_bytes_with_a_unit(name, amount, said):
    assert slots.say_amount(name, amount) == said
