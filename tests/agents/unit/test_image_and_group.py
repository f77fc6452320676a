"""Images that agents offer, and the resource group that an agent comes into."""

import msgspec

from services.agents.domain import image, resource_group
from services.agents.domain.image import HOST_IMAGE, HOST_LABELS, HOST_MINIMUM, Discover
from shared.contracts.agents import ImageDiscovered
from shared.contracts.base import Event
from shared.contracts.scheduler import (
    ResourceGroupChanged,
    ResourceGroupCreated,
    ResourceGroupDeleted,
)
from shared.eventlog.decider import Decider
from shared.testing.spec import given

IMAGE = Decider(image.INITIAL, image.evolve, image.decide)
HOST = Discover(canonical=HOST_IMAGE, architecture="x86_64")


def test_the_hosts_own_userland_is_discovered_once_with_its_minimum():
    [discovered] = given(IMAGE).when(HOST).events
    assert isinstance(discovered, ImageDiscovered)
    assert discovered.minimum == HOST_MINIMUM
    assert discovered.key() == "local/host:latest/x86_64"
    given(IMAGE, discovered).when(HOST).nothing()


def test_another_image_brings_no_minimum_of_the_host():
    [discovered] = given(IMAGE).when(Discover(canonical="cr/x:1", architecture="x86_64")).events
    assert isinstance(discovered, ImageDiscovered)
    assert discovered.minimum == {}


def test_what_labels_say_of_resources_is_the_minimum_and_never_below_what_the_host_needs():
    labels = {
        "ai.backend.resource.min.cpu": "0.05",
        "ai.backend.resource.min.mem": "1g",
        "ai.backend.resource.min.rocm.device": "many",
        "anything": "else",
    }
    [found] = given(IMAGE).when(msgspec.structs.replace(HOST, labels=labels)).events
    assert isinstance(found, ImageDiscovered)
    assert found.minimum == {"cpu": HOST_MINIMUM["cpu"], "mem": 2**30}
    assert found.labels == {**HOST_LABELS, **labels}


def test_an_image_is_found_again_only_when_somebody_says_something_new_of_it():
    other = Discover(canonical="cr/x:1", architecture="x86_64")
    labels = {"ai.backend.resource.min.cpu": "2"}
    [first] = given(IMAGE).when(other).events
    [again] = given(IMAGE, first).when(msgspec.structs.replace(other, labels=labels)).events
    assert isinstance(again, ImageDiscovered)
    assert again.minimum == {"cpu": 2000}
    given(IMAGE, first, again).when(msgspec.structs.replace(other, labels=labels)).nothing()
    given(IMAGE, first, again).when(other).nothing()
    [bare] = given(IMAGE, first, again).when(msgspec.structs.replace(other, labels={})).events
    assert isinstance(bare, ImageDiscovered)
    assert bare.minimum == {}


def groups(*created: Event) -> resource_group.ResourceGroups:
    state = resource_group.INITIAL
    for event in created:
        state = resource_group.evolve(state, event)
    return state


def test_an_agent_gets_the_group_that_it_names():
    known = groups(
        ResourceGroupCreated(name="gpu"), ResourceGroupCreated(name="d", is_default=True)
    )
    assert resource_group.resolve(known, "gpu") == "gpu"


def test_an_agent_that_names_no_existing_group_gets_the_default_one():
    known = groups(ResourceGroupCreated(name="d", is_default=True))
    assert resource_group.resolve(known, "gone") == "d"


def test_without_a_default_group_an_agent_without_a_group_is_not_let_in():
    assert resource_group.resolve(groups(ResourceGroupCreated(name="gpu")), "gone") is None
    assert resource_group.resolve(groups(), "default") is None


def test_an_agent_falls_back_to_the_group_that_has_become_the_default():
    known = groups(
        ResourceGroupCreated(name="d", is_default=True),
        ResourceGroupCreated(name="e"),
        ResourceGroupChanged(name="d", is_default=False),
        ResourceGroupChanged(name="e", is_default=True),
        ResourceGroupChanged(name="d", description="was the default one"),
    )
    assert resource_group.resolve(known, "gone") == "e"
    assert resource_group.resolve(known, "d") == "d"


def test_an_agent_of_a_deleted_group_is_in_the_default_one():
    known = groups(
        ResourceGroupCreated(name="d", is_default=True),
        ResourceGroupCreated(name="gpu"),
        ResourceGroupDeleted(name="gpu"),
    )
    assert resource_group.resolve(known, "gpu") == "d"
