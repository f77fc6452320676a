"""What a node does about a kernel's image before the launch, rule by rule (golden example 25)."""

import msgspec
import pytest
from hypothesis import given

from services.agents.node.domain.image import next_deed
from services.agents.node.runtime import LocalImage
from tests.agents.unit.simulated_host import Host
from tests.agents.unit.test_any_crash_point import CRASHES, DELAYS, RUN, SETTINGS, check

IMAGE = "lab/python:3"
OLD, NEW = "sha256:old", "sha256:new"
SAME, OTHER, BARE = LocalImage(digest=NEW), LocalImage(digest=OLD), LocalImage()


@pytest.mark.parametrize(
    ("rule", "found", "deed"),
    [
        ("digest", None, "fetch"),
        ("digest", OTHER, "fetch"),
        ("digest", SAME, "use"),
        ("tag", None, "fetch"),
        ("tag", OTHER, "use"),
        ("tag", SAME, "use"),
        ("none", None, "refuse"),
        ("none", OTHER, "use"),
        ("none", SAME, "use"),
    ],
)
def test_golden_25_what_each_rule_does_about_an_image(rule, found, deed):
    assert next_deed(rule, found, NEW) == deed


def test_a_digest_that_is_not_known_on_either_side_differs_from_none():
    for rule in ("digest", "tag", "none"):
        assert next_deed(rule, BARE, NEW) == "use"
        assert next_deed(rule, OTHER, "") == "use"


def asked_for(rule, digest=NEW):
    return msgspec.structs.replace(RUN, image=IMAGE, image_auto_pull=rule, image_digest=digest)


def host_with(local=None, kept=None, crashes=(), delays=()):
    """Return a host that has an image under a digest, and a registry that keeps it under one."""
    host = Host(crashes, delays)
    host.images |= {} if local is None else {IMAGE: local}
    host.registry |= {} if kept is None else {IMAGE: kept}
    return host


@pytest.mark.parametrize(
    ("rule", "local", "fetches", "runs_with"),
    [
        ("digest", None, 1, NEW),
        ("digest", OLD, 1, NEW),
        ("digest", NEW, 0, NEW),
        ("tag", None, 1, NEW),
        ("tag", OLD, 0, OLD),
        ("none", OLD, 0, OLD),
    ],
)
def test_a_kernel_runs_once_its_image_is_as_the_rule_wants_it(rule, local, fetches, runs_with):
    host = host_with(local, kept=NEW)
    told = check(host, [asked_for(rule)])
    assert (host.runs, host.fetches, host.images[IMAGE]) == (1, fetches, runs_with)
    assert told[-1].reason == "task-finished"


def test_nothing_is_launched_where_an_image_is_missing_and_must_not_be_fetched():
    host = host_with(kept=NEW)
    (preparing, end) = check(host, [asked_for("none")])
    assert (host.runs, host.fetches, host.permit) == (0, 0, None)
    assert preparing.phase == "preparing"
    assert (end.phase, end.reason, end.exit_code) == ("failed", "image-not-available", None)
    assert IMAGE in end.detail
    assert "image_auto_pull is 'none'" in end.detail
    assert "Choose an image that the node offers" in end.detail


@pytest.mark.parametrize(("rule", "local"), [("digest", None), ("digest", OLD), ("tag", None)])
def test_a_kernel_fails_with_the_reason_why_its_image_could_not_be_fetched(rule, local):
    host = host_with(local)
    end = check(host, [asked_for(rule)])[-1]
    assert host.runs == 0
    assert (end.phase, end.reason) == ("failed", "image-not-available")
    assert f"image_auto_pull is '{rule}'" in end.detail
    assert ("another digest" in end.detail) is (local is not None)
    assert end.detail.endswith("could not be fetched: the registry does not have it.")


@SETTINGS
@given(CRASHES, DELAYS)
def test_a_command_whose_image_is_fetched_runs_exactly_once_whenever_the_daemon_dies(
    crashes, delays
):
    host = host_with(OLD, kept=NEW, crashes=crashes, delays=delays)
    told = check(host, [asked_for("digest")])
    assert (host.runs, host.images[IMAGE]) == (1, NEW)
    assert [report.phase for report in told] == ["preparing", "running", "terminated"]
