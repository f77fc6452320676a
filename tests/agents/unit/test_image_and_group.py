"""Images that agents offer, and the resource group that an agent comes into."""

from services.agents.domain import image, resource_group
from services.agents.domain.image import HOST_IMAGE, HOST_MINIMUM, Discover
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
