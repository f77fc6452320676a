"""Requests below the minimum of their image: raised and told, or refused when they are strict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.enqueue import decide
from services.scheduler.domain.quota import KeypairLimits
from services.scheduler.domain.raising import ImageNeeds, raised
from services.scheduler.placement.model import Agent
from services.scheduler.placement.reasons import never_fits
from shared.contracts.scheduler import Adjustment
from shared.kernel.rejections import Rejection
from tests.scheduler.unit.test_enqueue_rules import command, facts, wrong_fields

MIB, GIB = 2**20, 2**30
NEEDS = ImageNeeds({"cpu": 2000, "mem": GIB}, 64 * MIB)
LARGE = Agent("a1", "default", "x86_64", {"cpu": 64_000, "mem": 64 * GIB, "cuda.device": 8000})


def with_image(needs=NEEDS, **more):
    offered = more.pop("offered_slots", frozenset(LARGE.capacity))
    return facts(
        image=needs,
        offered_slots=offered,
        impossible=lambda shape: never_fits([LARGE], "default", shape),
        **more,
    )


def adjusted(slot, requested, to, why="image-minimum"):
    return Adjustment(slot=slot, requested=requested, adjusted_to=to, why=why)


def test_the_example_of_the_semantics_is_raised_to_what_it_says():
    wish = command(resources={"cpu": 1000, "mem": 512 * MIB})
    (event,) = decide(wish, with_image())
    assert event.kernels[0].requested == {"cpu": 2000, "mem": 1088 * MIB}
    assert event.shared_memory == 64 * MIB
    assert event.adjustments == (
        adjusted("cpu", 1000, 2000),
        adjusted("mem", 512 * MIB, 1088 * MIB, "image-minimum-and-shared-memory"),
    )


def test_what_is_asked_for_above_the_minimum_stays_as_it_is():
    wish = command(resources={"cpu": 4000, "mem": 2 * GIB})
    (event,) = decide(wish, with_image())
    assert event.kernels[0].requested == {"cpu": 4000, "mem": 2 * GIB}
    assert event.adjustments == ()


def test_every_kernel_of_a_cluster_is_raised_and_what_is_raised_counts_for_the_limits():
    wish = command(cluster_size=2, access_key="AK")
    limits = KeypairLimits(name="small", max_pending_session_resource_slots={"cpu": 3000})
    over = decide(wish, with_image(access_key="AK", limits=limits))
    assert isinstance(over, Rejection)
    assert over.code == "quota_exceeded"
    assert over.details["violations"][0]["requested"] == "4"
    roomy = KeypairLimits(name="small", max_pending_session_resource_slots={"cpu": 4000})
    (event,) = decide(wish, with_image(access_key="AK", limits=roomy))
    assert [kernel.requested["cpu"] for kernel in event.kernels] == [2000, 2000]


def test_a_request_that_names_nothing_gets_what_its_image_needs():
    (event,) = decide(command(resources={}), with_image())
    assert event.kernels[0].requested == {"cpu": 2000, "mem": 1088 * MIB}
    assert wrong_fields(decide(command(resources={}), facts())) == {"resources": "required"}


def test_a_strict_request_below_the_minimum_is_refused_with_the_numbers():
    refusal = decide(command(resources={"cpu": 1000, "mem": 2 * GIB}, strict=True), with_image())
    assert isinstance(refusal, Rejection)
    assert (refusal.kind, refusal.code) == ("invalid", "below_image_minimum")
    assert wrong_fields(refusal) == {"resources.cpu": "below_image_minimum"}
    assert refusal.details["adjustments"] == [{"slot": "cpu", "requested": "1", "minimum": "2"}]
    enough = command(resources={"cpu": 2000, "mem": 2 * GIB}, strict=True)
    assert isinstance(decide(enough, with_image()), tuple)


def test_more_shared_memory_raises_the_least_memory_as_much():
    wish = command(resources={"mem": GIB}, shared_memory=256 * MIB)
    (event,) = decide(wish, with_image())
    assert event.kernels[0].requested["mem"] == GIB + 256 * MIB
    assert event.shared_memory == 256 * MIB


@pytest.mark.parametrize("needs", [ImageNeeds(), NEEDS])
def test_shared_memory_is_less_than_the_memory_it_is_a_part_of(needs):
    wish = command(resources={"cpu": 4000, "mem": GIB}, shared_memory=GIB)
    assert wrong_fields(decide(wish, with_image(needs))) == {"shared_memory": "not_below_memory"}
    fine = command(resources={"cpu": 4000, "mem": GIB}, shared_memory=GIB - 1)
    assert isinstance(decide(fine, with_image(needs)), tuple)


def test_shared_memory_without_memory_and_below_nothing_is_refused():
    none = decide(command(shared_memory=MIB), with_image(ImageNeeds()))
    assert wrong_fields(none) == {"shared_memory": "not_below_memory"}
    less = decide(command(shared_memory=-1), with_image())
    assert wrong_fields(less) == {"shared_memory": "negative"}


def test_what_suits_the_image_is_left_out_where_the_memory_is_too_small_for_it():
    wish = command(resources={"cpu": 1000, "mem": 32 * MIB})
    (event,) = decide(wish, with_image(ImageNeeds({}, 64 * MIB)))
    assert event.shared_memory is None
    assert event.adjustments == ()


def test_an_accelerator_that_the_image_needs_is_given_or_found_to_be_nowhere():
    needs = ImageNeeds({"cuda.device": 1000})
    (event,) = decide(command(), with_image(needs))
    assert event.kernels[0].requested == {"cpu": 1000, "cuda.device": 1000}
    nowhere = decide(command(), with_image(ImageNeeds({"rocm.device": 1000})))
    assert isinstance(nowhere, Rejection)
    assert nowhere.code == "no_agent_could_hold"


def test_devices_that_the_group_has_only_in_shares_are_not_asked_for():
    needs = ImageNeeds({"cuda.device": 1000})
    in_shares = with_image(needs, offered_slots=frozenset({"cpu", "cuda.shares"}))
    (event,) = decide(command(), in_shares)
    assert event.adjustments == ()
    both = frozenset({"cpu", "cuda.shares", "cuda.device"})
    wish = command(resources={"cuda.shares": 500})
    assert raised(wish, needs, both).adjustments == ()
    assert raised(command(), needs, both).adjustments == (adjusted("cuda.device", 0, 1000),)


AMOUNTS = st.dictionaries(
    st.sampled_from(["cpu", "mem", "cuda.device", "cuda.shares", "rocm.device"]),
    st.integers(0, 5),
)
SHARED = st.none() | st.integers(0, 3)


@given(AMOUNTS, AMOUNTS, SHARED, SHARED, st.frozensets(st.sampled_from(["cuda.shares", "mem"])))
def test_raising_never_lowers_and_once_raised_nothing_is_left_to_raise(
    asked, least, shared, suits, offered
):
    wish = command(resources=asked, shared_memory=shared)
    needs = ImageNeeds(least, suits)
    lifted = raised(wish, needs, offered)
    got = lifted.command.resources
    assert all(got[slot] >= amount for slot, amount in asked.items())
    changed = {slot for slot, amount in got.items() if amount != asked.get(slot, 0)}
    assert {one.slot for one in lifted.adjustments} == changed
    assert all(
        (asked.get(a.slot, 0), got[a.slot]) == (a.requested, a.adjusted_to)
        for a in lifted.adjustments
    )
    assert got.get("cpu", 0) >= least.get("cpu", 0)
    total = least["mem"] + (lifted.command.shared_memory or 0) if "mem" in least else 0
    assert got.get("mem", 0) >= total
    assert raised(lifted.command, needs, offered).adjustments == ()
