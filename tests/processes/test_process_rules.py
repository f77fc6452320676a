"""The language for process rules, on the process of these tests."""

from datetime import UTC, datetime

import pytest

from shared.contracts.base import Accepted, Rejected
from shared.contracts.users import DomainCreated
from shared.kernel.rejections import conflict
from shared.processes.process import Alarm, Answered, Due, Happened, command_id
from shared.testing.spec import following
from tests.processes.transfer import PATIENCE, TRANSFER, put_back, put_in, take_out

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STARTED = Happened(DomainCreated(name="a"), NOW)
YES = Accepted(service="users", position=1)
NO = Rejected(rejection=conflict("no", "No."))
TAKEN_OUT = Answered("take out", YES, NOW)


def test_an_event_starts_the_process_with_its_first_step_and_an_alarm():
    following(TRANSFER).on(STARTED).expect(take_out("a"), Alarm("late", NOW + PATIENCE))


def test_each_answer_leads_to_the_next_step():
    following(TRANSFER, STARTED).on(TAKEN_OUT).expect(put_in("a"))
    done = following(TRANSFER, STARTED, TAKEN_OUT).on(Answered("put in", YES, NOW)).done()
    assert done.state.stage == "transferred"


@pytest.mark.parametrize("reason", [Answered("put in", NO, NOW), Due("late", NOW)])
def test_a_refused_or_late_step_is_undone(reason: Answered | Due):
    stuck = following(TRANSFER, STARTED, TAKEN_OUT)
    stuck.on(reason).expect(put_back("a"), Alarm("late", None))
    following(TRANSFER, STARTED, TAKEN_OUT, reason).on(Answered("put back", YES, NOW)).done()


def test_the_language_can_fail():
    reacted = following(TRANSFER).on(STARTED)
    for wrong in (
        reacted.expect,
        lambda: reacted.expect(put_in("a")),
        lambda: reacted.requests("put in"),
        reacted.done,
    ):
        with pytest.raises(AssertionError):
            wrong()


def test_a_command_s_id_follows_from_process_and_step_alone():
    ids = {
        command_id(process, process_id, step)
        for process in ("p", "q")
        for process_id in ("1", "2")
        for step in ("a", "b")
    }
    assert len(ids) == 8
    assert command_id("p", "1", "a") == command_id("p", "1", "a")
