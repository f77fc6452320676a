"""What may enter a queue; all that is wrong with a request is said at once."""

from datetime import UTC, datetime
from itertools import count

import pytest

from services.scheduler.domain.dependencies import Dependency
from services.scheduler.domain.enqueue import Facts, decide
from services.scheduler.domain.resource_group import evolve, seed
from services.scheduler.placement.model import Agent
from services.scheduler.placement.reasons import never_fits
from shared.contracts.scheduler import EnqueueSession, ResourceGroupCreated
from shared.kernel.rejections import FieldError, Rejection

AGENT = Agent("a1", "default", "x86_64", {"cpu": 4000, "mem": 2**30})


def group(**more):
    return evolve(None, ResourceGroupCreated(name="default", **more))


def facts(**more):
    numbers = count()
    values = {
        "group": group(),
        "architecture": "x86_64",
        "user_problem": None,
        "project_problem": None,
        "is_name_taken": lambda _: False,
        "impossible": lambda shape: never_fits([AGENT], "default", shape),
        "make_id": lambda: f"id{next(numbers)}",
        **more,
    }
    return Facts(**values)


def command(**more):
    values = {
        "name": "train",
        "session_type": "batch",
        "user_id": "u1",
        "access_key": None,
        "domain": "default",
        "project_id": "p1",
        "resource_group": "default",
        "image": "img",
        "resources": {"cpu": 1000},
        "command": ("true",),
        **more,
    }
    return EnqueueSession(**values)


def wrong_fields(refusal):
    assert isinstance(refusal, Rejection)
    return {error.field: error.code for error in refusal.errors}


def test_a_good_request_becomes_one_waiting_session():
    (event,) = decide(command(), facts())
    assert (event.name, event.image, event.architecture) == ("train", "img", "x86_64")
    assert [kernel.hostname for kernel in event.kernels] == ["main1"]


def test_an_array_becomes_as_many_sessions_with_numbered_names():
    events = decide(command(count=3), facts())
    assert [event.name for event in events] == ["train-0", "train-1", "train-2"]
    assert len({event.session_id for event in events}) == 3


def test_a_cluster_has_a_main_kernel_and_the_others():
    (event,) = decide(command(cluster_size=3, cluster_mode="multi-node"), facts())
    assert [kernel.hostname for kernel in event.kernels] == ["main1", "sub1", "sub2"]


@pytest.mark.parametrize("name", ["", "-x", "x-", "a b", "a" * 65, "ä", "a/b"])
def test_a_name_follows_the_rule(name):
    assert wrong_fields(decide(command(name=name), facts())) == {"name": "session_name"}


def test_the_longest_name_of_an_array_counts():
    assert isinstance(decide(command(name="a" * 62, count=10), facts()), tuple)
    assert wrong_fields(decide(command(name="a" * 62, count=11), facts())) == {
        "name": "session_name"
    }


def test_everything_that_is_wrong_is_said_at_once():
    refusal = decide(
        command(name="", priority=101, cluster_size=0, count=10_001, resources={}, command=()),
        facts(group=None, architecture=None, user_problem=FieldError("user_id", "x", "x")),
    )
    assert wrong_fields(refusal) == {
        "name": "session_name",
        "priority": "out_of_range",
        "cluster_size": "out_of_range",
        "count": "out_of_range",
        "resources": "required",
        "command": "empty",
        "user_id": "x",
        "resource_group": "resource_group_not_found",
        "image": "image_not_found",
    }


@pytest.mark.parametrize(
    ("resources", "code"),
    [
        ({"cpu": -1000, "mem": 1}, {"resources.cpu": "negative"}),
        ({"cuda.device": 500}, {"resources.cuda.device": "whole_devices"}),
        (
            {"cuda.device": 1000, "cuda.shares": 500},
            {"resources.cuda.device": "device_and_shares"},
        ),
    ],
)
def test_resources_must_make_sense(resources, code):
    assert wrong_fields(decide(command(resources=resources), facts())) == code


def test_a_batch_session_needs_a_command_and_an_interactive_one_does_not():
    assert wrong_fields(decide(command(command=None), facts())) == {"command": "required"}
    assert isinstance(decide(command(command=None, session_type="interactive"), facts()), tuple)


def test_a_group_that_is_closed_or_takes_other_types_refuses():
    closed = decide(command(), facts(group=group(is_active=False)))
    assert wrong_fields(closed) == {"resource_group": "resource_group_inactive"}
    other = decide(command(), facts(group=group(allowed_session_types=("interactive",))))
    assert wrong_fields(other) == {"type": "session_type_not_allowed"}
    assert other.code == "session_type_not_allowed"
    only_batch = facts(group=group(allowed_session_types=("batch",)))
    wish = command(session_type="interactive", command=None)
    assert wrong_fields(decide(wish, only_batch)) == {"type": "session_type_not_allowed"}
    assert isinstance(decide(command(), only_batch), tuple)


def test_a_name_in_use_is_a_conflict_that_names_it():
    refusal = decide(command(count=2), facts(is_name_taken=lambda name: name == "train-1"))
    assert isinstance(refusal, Rejection)
    assert (refusal.kind, refusal.code) == ("conflict", "session_name_taken")
    assert refusal.details["names"] == ["train-1"]


def test_what_no_agent_could_ever_hold_is_refused_with_numbers():
    refusal = decide(command(resources={"cpu": 5000}), facts())
    assert isinstance(refusal, Rejection)
    assert (refusal.kind, refusal.code) == ("invalid", "no_agent_could_hold")
    assert wrong_fields(refusal) == {"resources.cpu": "no_agent_could_hold"}
    assert refusal.details["violations"][0]["short_by"] == "1"


def test_the_default_group_is_created_once():
    (event,) = seed(None)
    assert (event.name, event.scheduler, event.is_default) == ("default", "fifo", True)
    assert seed(evolve(None, event)) == ()


def sessions_of_the_user(name):
    known = {
        "alive": Dependency("id-alive", None),
        "id-alive": Dependency("id-alive", None),
        "id-good": Dependency("id-good", succeeded=True),
        "id-bad": Dependency("id-bad", succeeded=False),
    }
    return known.get(name)


def test_dependencies_are_found_by_id_or_name_and_each_counts_once():
    wish = command(depends_on=("id-alive", "alive", "id-good"))
    (event,) = decide(wish, facts(find_dependency=sessions_of_the_user))
    assert event.depends_on == ("id-alive", "id-good")


def test_what_is_not_there_or_has_failed_can_not_be_waited_for():
    wish = command(depends_on=("alive", "nobody", "id-bad"))
    refusal = decide(wish, facts(find_dependency=sessions_of_the_user))
    assert wrong_fields(refusal) == {
        "depends_on.1": "dependency_not_found",
        "depends_on.2": "dependency_failed",
    }
    refusal = decide(command(depends_on=("nobody",)), facts(find_dependency=sessions_of_the_user))
    assert refusal.code == "dependency_not_found"


def test_a_session_does_not_depend_on_any_number_of_others():
    refusal = decide(command(depends_on=("alive",) * 101), facts())
    assert wrong_fields(refusal) == {"depends_on": "too_many"}


@pytest.mark.parametrize("when", [datetime(3000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1)])  # noqa: DTZ001  # one without a zone is what is refused
def test_a_start_has_a_zone_and_comes_some_day(when):
    assert wrong_fields(decide(command(starts_at=when), facts())) == {"starts_at": "out_of_range"}
