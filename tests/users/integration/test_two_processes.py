"""The races of the other files once more, decided by two processes over one database.

One process appends one after the other; between two only the locks in the database decide.
"""

from collections.abc import AsyncIterator

import pytest_asyncio

from shared.contracts.base import Accepted
from shared.contracts.users import ChangeUser
from shared.testing.services import ServiceProcess
from tests.users.integration.harness import Ground, Users, rejected
from tests.users.integration.test_changes import (
    superadmins,
    test_a_project_that_is_left_out_and_in_by_two_at_once_ends_in_one_of_both,
    test_of_many_that_want_one_name_at_once_one_gets_it,
    test_ten_at_once_who_take_charge_from_two_leave_one_in_charge,
    test_two_who_take_charge_from_each_other_leave_one,
)
from tests.users.integration.test_erasure import (
    test_whatever_meets_an_erasure_comes_before_it_or_is_refused,
)
from tests.users.integration.test_keypairs import (
    test_a_burst_is_told_once_however_many_tell_it_at_the_same_time,
    test_each_of_many_switches_at_once_follows_another,
    test_no_keypair_is_activated_while_its_user_is_erased,
    test_whoever_races_one_active_keypair_is_the_main_one_and_is_not_deleted,
)
from tests.users.integration.test_tenants import (
    test_a_domain_is_there_once_however_many_ask_at_once,
    test_a_member_joins_once_however_many_ask_at_once,
    test_a_project_of_models_and_users_that_come_at_once_miss_nobody,
    test_a_project_s_name_is_taken_within_its_domain,
    test_of_those_who_enter_while_a_domain_closes_none_comes_after_it,
)

__all__ = [
    "test_a_burst_is_told_once_however_many_tell_it_at_the_same_time",
    "test_a_domain_is_there_once_however_many_ask_at_once",
    "test_a_member_joins_once_however_many_ask_at_once",
    "test_a_project_of_models_and_users_that_come_at_once_miss_nobody",
    "test_a_project_s_name_is_taken_within_its_domain",
    "test_a_project_that_is_left_out_and_in_by_two_at_once_ends_in_one_of_both",
    "test_each_of_many_switches_at_once_follows_another",
    "test_no_keypair_is_activated_while_its_user_is_erased",
    "test_of_many_that_want_one_name_at_once_one_gets_it",
    "test_of_those_who_enter_while_a_domain_closes_none_comes_after_it",
    "test_ten_at_once_who_take_charge_from_two_leave_one_in_charge",
    "test_two_who_take_charge_from_each_other_leave_one",
    "test_whatever_meets_an_erasure_comes_before_it_or_is_refused",
    "test_whoever_races_one_active_keypair_is_the_main_one_and_is_not_deleted",
]


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def another(users: Users, ground: Ground) -> AsyncIterator[ServiceProcess]:
    """Start a second process that shares the commands with the first."""
    process = ServiceProcess("users", ground.environ)
    await process.start()
    yield process
    await process.stop()


async def test_round_after_round_one_superadmin_is_left(
    users: Users, another: ServiceProcess
) -> None:
    await users.created("deputy", role="superadmin")
    both = await superadmins(users)
    for _ in range(12):
        replies = await users.together(
            *[ChangeUser(user_id=user_id, role="user") for user_id in both]
        )
        refused = [rejected(reply).code for reply in replies if not isinstance(reply, Accepted)]
        assert refused == ["last_superadmin"]
        (left,) = await superadmins(users)
        for user_id in {*both} - {left}:
            restored = await users.send(ChangeUser(user_id=user_id, role="superadmin"))
            assert isinstance(restored, Accepted)
    for process in (users.service, another):
        assert "user_changed" in process.output, "both took part"
