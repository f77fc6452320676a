"""Running a decider against the log, and the laws that deciders keep."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.base import Event
from shared.contracts.users import (
    LoginEnded,
    ProjectCreated,
    ProjectMemberAdded,
)
from shared.eventlog.decider import Decider, Effects, execute
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken, StreamConflict
from shared.eventlog.records import Appended, Claim, CommandKey, DoneCommand, Write
from shared.kernel.rejections import Rejection, conflict
from tests.eventlog.conftest import META

OpenLog = Callable[[], Awaitable[EventLog]]


class Project(msgspec.Struct, frozen=True):
    exists: bool = False
    members: tuple[str, ...] = ()


class Join(msgspec.Struct, frozen=True):
    user_id: str


def evolve(state: Project, event: Event) -> Project:
    match event:
        case ProjectCreated():
            return Project(exists=True, members=state.members)
        case ProjectMemberAdded(user_id=user_id):
            return Project(exists=state.exists, members=(*state.members, user_id))
        case _:
            return state


def decide(state: Project, command: Join, members_max: int) -> tuple[Event, ...] | Rejection:
    if command.user_id in state.members:
        return ()
    if len(state.members) >= members_max:
        return conflict("project_full", "The project is full.")
    return (ProjectMemberAdded(project_id="p", user_id=command.user_id),)


PROJECT = Decider(Project(), evolve, decide)
STREAM = "project-p"

ids = st.sampled_from(["a", "b", "c"])
events = st.one_of(
    st.builds(
        ProjectCreated,
        project_id=st.just("p"),
        domain=st.just("d"),
        name=st.text(max_size=3),
        project_type=st.just("general"),
    ),
    st.builds(ProjectMemberAdded, project_id=st.just("p"), user_id=ids),
    st.builds(LoginEnded, login_id=ids, user_id=ids, reason=st.just("logout")),
)


@given(st.lists(events), st.lists(events))
def test_folding_in_two_parts_is_folding_at_once(first: list[Event], second: list[Event]):
    assert PROJECT.fold(first + second) == PROJECT.fold(second, PROJECT.fold(first))


@given(st.lists(events), ids, st.integers(0, 5))
def test_what_is_decided_twice_changes_nothing_the_second_time(
    past: list[Event], user_id: str, members_max: int
):
    state = PROJECT.fold(past)
    decided = PROJECT.decide(state, Join(user_id), members_max)
    if not isinstance(decided, Rejection):
        assert PROJECT.decide(PROJECT.fold(decided, state), Join(user_id), members_max) == ()


async def test_an_accepted_command_is_appended_to_its_stream(log: EventLog):
    appended = await execute(log, PROJECT, STREAM, Join("a"), 5, META)
    assert isinstance(appended, Appended)
    assert (await log.load(STREAM)).events == (ProjectMemberAdded(project_id="p", user_id="a"),)


async def test_a_refused_command_changes_nothing(log: EventLog):
    refused = await execute(log, PROJECT, STREAM, Join("a"), 0, META, key=CommandKey("k", "d"))
    assert isinstance(refused, Rejection)
    assert refused.code == "project_full"
    assert await log.head() == 0


async def test_writers_who_meet_decide_again_and_keep_the_rule(open_log: OpenLog):
    logs = [await open_log() for _ in range(2)]
    outcomes = await asyncio.gather(
        *(execute(log, PROJECT, STREAM, Join(f"{n}"), 1, META) for n, log in enumerate(logs))
    )
    assert sorted(type(o).__name__ for o in outcomes) == ["Appended", "Rejection"]
    assert len(PROJECT.fold((await logs[0].load(STREAM)).events).members) == 1


async def test_the_third_conflict_in_a_row_is_given_up(log: EventLog):
    decisions = 0

    def interrupted(_state: Project, _command: Join, _context: None) -> tuple[Event, ...]:
        nonlocal decisions
        decisions += 1
        return (ProjectMemberAdded(project_id="p", user_id=f"mine {decisions}"),)

    real_append = log.append

    async def overtaken(writes, meta, **options):  # as append
        rival = ProjectMemberAdded(project_id="p", user_id=f"rival {decisions}")
        await real_append([Write(STREAM, None, [rival])], meta)
        return await real_append(writes, meta, **options)

    log.append = overtaken  # type: ignore[method-assign]  # another writer, each time just before
    with pytest.raises(StreamConflict):
        await execute(log, Decider(Project(), evolve, interrupted), STREAM, Join("a"), None, META)
    assert decisions == 3
    assert await log.head() == 3


async def test_a_repeated_command_gets_its_first_answer_though_it_would_now_be_refused(
    log: EventLog,
):
    key = CommandKey("k", "d")
    effects = Effects(result={"seat": 1})
    first = await execute(log, PROJECT, STREAM, Join("a"), 1, META, key=key, effects=effects)
    assert isinstance(first, Appended)

    def refuse(_state: Project, _command: Join, _context: int) -> Rejection:
        return conflict("project_full", "The project is full.")

    refusing = Decider(Project(), evolve, refuse)
    again = await execute(log, refusing, STREAM, Join("a"), 1, META, key=key, effects=effects)
    assert again == DoneCommand("k", first.last, {"seat": 1})
    mismatch = await execute(log, refusing, STREAM, Join("b"), 1, META, key=CommandKey("k", "e"))
    assert isinstance(mismatch, Rejection)
    assert mismatch.code == "idempotency_mismatch"


async def test_a_name_that_is_taken_is_refused_in_the_caller_s_words(log: EventLog):
    effects = Effects(
        claims=[Claim("seat", "1", "a")],
        taken=lambda taken: conflict("seat_taken", f"{taken.owner} sits there."),
    )
    assert isinstance(
        await execute(log, PROJECT, STREAM, Join("a"), 5, META, effects=effects), Appended
    )
    other = Effects(claims=[Claim("seat", "1", "b")], taken=effects.taken)
    refused = await execute(log, PROJECT, STREAM, Join("b"), 5, META, effects=other)
    assert refused == conflict("seat_taken", "a sits there.")
    with pytest.raises(ClaimTaken):
        await execute(
            log, PROJECT, STREAM, Join("b"), 5, META, effects=Effects(claims=other.claims)
        )
