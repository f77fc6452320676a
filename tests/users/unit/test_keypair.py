"""What may become of a keypair."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.users.domain import keypair
from services.users.domain.keypair import BURST, Facts, NewKeypair
from shared.contracts.users import (
    ChangeKeypair,
    DeleteKeypair,
    KeypairActivated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairIssued,
    KeypairPolicyAssigned,
    KeypairRateLimited,
    KeypairRateLimitSet,
    KeypairSecretRevealed,
    ReportRateLimited,
    RevealKeypair,
    SwitchMainKeypair,
    UserMainKeypairSwitched,
)
from shared.eventlog.decider import Decider
from shared.testing.spec import given

KEYPAIR = Decider(keypair.INITIAL, keypair.evolve, keypair.decide)
WHOSE = {"access_key": "AKIA1", "user_id": "u-1"}
ISSUED = KeypairIssued(
    **WHOSE, is_main=False, status="active", resource_policy="default", rate_limit=10_000
)
DEACTIVATED, DELETED = KeypairDeactivated(**WHOSE), KeypairDeleted(**WHOSE)
ISSUE = NewKeypair(**WHOSE, resource_policy="default")
ANOTHER_MAIN = Facts(main="AKIA0")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
COMMANDS = (
    ChangeKeypair(access_key="AKIA1", status="active"),
    SwitchMainKeypair(access_key="AKIA1"),
    DeleteKeypair(access_key="AKIA1"),
    RevealKeypair(access_key="AKIA1"),
    ReportRateLimited(access_key="AKIA1", limit=1),
)


def change(**given: object) -> ChangeKeypair:
    return msgspec.convert({"type": "ChangeKeypair", "access_key": "AKIA1", **given}, ChangeKeypair)


def test_a_keypair_is_issued_once_and_is_active() -> None:
    given(KEYPAIR).when(ISSUE).then(ISSUED)
    given(KEYPAIR, ISSUED).when(ISSUE).rejected("keypair_exists")
    given(KEYPAIR, ISSUED, DEACTIVATED, DELETED).when(ISSUE).rejected("keypair_exists")


def test_no_keypair_is_issued_to_an_erased_user() -> None:
    given(KEYPAIR).when(ISSUE, Facts(user_is_erased=True)).rejected("user_erased")


@pytest.mark.parametrize("limit", [-1, 1_000_001])
def test_a_rate_limit_lies_in_its_range(limit: int) -> None:
    wish = msgspec.structs.replace(ISSUE, rate_limit=limit)
    given(KEYPAIR).when(wish).rejected("invalid_request")
    given(KEYPAIR, ISSUED).when(change(rate_limit=limit)).rejected("invalid_request")


@pytest.mark.parametrize("limit", [0, 1, 1_000_000, None])
def test_a_rate_limit_may_be_nothing_at_all_or_unlimited(limit: int | None) -> None:
    limited = KeypairRateLimitSet(**WHOSE, rate_limit=limit)
    given(KEYPAIR, ISSUED).when(change(rate_limit=limit)).then(limited)
    wish = msgspec.structs.replace(ISSUE, rate_limit=limit)
    given(KEYPAIR).when(wish).then(msgspec.structs.replace(ISSUED, rate_limit=limit))


def test_a_policy_that_is_absent_is_not_given() -> None:
    unknown = Facts(policy_exists=False)
    given(KEYPAIR).when(ISSUE, unknown).rejected("invalid_request")
    refused = given(KEYPAIR, ISSUED).when(change(resource_policy="gold"), unknown)
    assert [error.field for error in refused.rejected("invalid_request").errors] == [
        "resource_policy"
    ]


def test_everything_given_is_changed_at_once() -> None:
    given(KEYPAIR, ISSUED).when(
        change(status="inactive", resource_policy="gold", rate_limit=5)
    ).then(
        DEACTIVATED,
        KeypairPolicyAssigned(**WHOSE, resource_policy="gold"),
        KeypairRateLimitSet(**WHOSE, rate_limit=5),
    )


def test_one_wrong_field_keeps_the_others_as_they_are_and_all_wrong_ones_are_named() -> None:
    wish = change(status="inactive", resource_policy="absent", rate_limit=-1)
    refused = given(KEYPAIR, ISSUED).when(wish, Facts(policy_exists=False))
    fields = {error.field for error in refused.rejected("invalid_request").errors}
    assert fields == {"resource_policy", "rate_limit"}


def test_what_is_so_already_changes_nothing() -> None:
    same = change(status="active", resource_policy="default", rate_limit=10_000)
    given(KEYPAIR, ISSUED).when(same).nothing()
    given(KEYPAIR, ISSUED).when(change()).nothing()
    given(KEYPAIR, ISSUED, DEACTIVATED).when(change(status="inactive")).nothing()


def test_a_keypair_is_activated_again() -> None:
    given(KEYPAIR, ISSUED, DEACTIVATED).when(change(status="active")).then(
        KeypairActivated(**WHOSE)
    )


def test_the_keypair_of_an_erased_user_is_not_activated() -> None:
    erased = Facts(user_is_erased=True)
    given(KEYPAIR, ISSUED, DEACTIVATED).when(change(status="active"), erased).rejected(
        "user_erased"
    )


def test_an_active_keypair_becomes_the_main_one_in_place_of_another() -> None:
    switched = UserMainKeypairSwitched(user_id="u-1", access_key="AKIA1", previous="AKIA0")
    command = SwitchMainKeypair(access_key="AKIA1")
    given(KEYPAIR, ISSUED).when(command, ANOTHER_MAIN).then(switched)
    given(KEYPAIR, ISSUED).when(command, Facts(main="AKIA1")).nothing()


def test_an_inactive_keypair_does_not_become_the_main_one() -> None:
    command = SwitchMainKeypair(access_key="AKIA1")
    refused = given(KEYPAIR, ISSUED, DEACTIVATED).when(command, ANOTHER_MAIN)
    assert refused.rejected("keypair_inactive").kind == "forbidden"


def test_an_inactive_keypair_that_is_not_the_main_one_is_deleted() -> None:
    command = DeleteKeypair(access_key="AKIA1")
    given(KEYPAIR, ISSUED, DEACTIVATED).when(command, ANOTHER_MAIN).then(DELETED)
    active = given(KEYPAIR, ISSUED).when(command, ANOTHER_MAIN)
    assert active.rejected("keypair_active").kind == "conflict"
    for events in ((ISSUED,), (ISSUED, DEACTIVATED)):
        main = given(KEYPAIR, *events).when(command, Facts(main="AKIA1"))
        assert main.rejected("keypair_main").kind == "forbidden"


def test_each_reveal_is_told() -> None:
    revealed = KeypairSecretRevealed(**WHOSE)
    command = RevealKeypair(access_key="AKIA1")
    given(KEYPAIR, ISSUED).when(command).then(revealed)
    given(KEYPAIR, ISSUED, DEACTIVATED, revealed).when(command).then(revealed)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("events", [(), (ISSUED, DEACTIVATED, DELETED)])
def test_nothing_becomes_of_a_keypair_that_is_absent_or_deleted(command, events) -> None:
    given(KEYPAIR, *events).when(command, Facts(now=NOW)).rejected("keypair_not_found")


@for_all(since=st.timedeltas(timedelta(), timedelta(seconds=2000)))
def test_a_burst_is_told_once_in_so_many_seconds(since: timedelta) -> None:
    command = ReportRateLimited(access_key="AKIA1", limit=7)
    limited = KeypairRateLimited(**WHOSE, limit=7)
    given(KEYPAIR, ISSUED).when(command, Facts(now=NOW)).then(limited)
    again = given(KEYPAIR, ISSUED, limited).when(command, Facts(limited_at=NOW - since, now=NOW))
    assert again.events == (() if since < BURST else (limited,))
