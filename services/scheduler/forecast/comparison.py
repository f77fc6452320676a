"""A recorded period beside its replay and beside what would have been."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from services.scheduler.forecast.fleet import AgentChange, capacity, count_of, served, varied
from services.scheduler.forecast.metrics import figures
from services.scheduler.forecast.recording import Recording
from services.scheduler.forecast.replay import Rules, recorded, replay
from shared.contracts.scheduler import Comparison, ReplayFigures, ReplayNote, Variation
from shared.kernel.clock import render_time

AS_IT_WAS: Final = Variation()


class Question(NamedTuple):
    """What is compared: a group's period, its agents then, what holds, and what shall differ.

    Before `agents_known_since` it is not known how the agents came and went.
    """

    group: str
    since: datetime
    until: datetime
    agents: tuple[AgentChange, ...]
    agents_known_since: datetime | None
    rules: Rules
    variation: Variation


def compare(
    question: Question, recording: Recording, told: Callable[[float], None] = lambda _: None
) -> Comparison:
    """Return the comparison; `told` hears now and then what part of the work is done."""
    group, agents = question.group, question.agents
    there = len(served(agents, group))
    others = varied(agents, question.variation, group)
    length_s = recording.length_s

    def judged(
        changes: tuple[AgentChange, ...], variation: Variation, done: float
    ) -> ReplayFigures:
        stays = replay(
            recording, changes, question.rules, variation, lambda part: told(done + part / 2)
        )
        return figures(recording, stays, capacity(changes, group, length_s))

    before = [job for job in recording.jobs if job.was_ready_s < 0]
    running = sum(job.started_s is not None and job.started_s < 0 for job in before)
    as_recorded = figures(recording, recorded(recording), capacity(agents, group, length_s))
    replayed = judged(agents, AS_IT_WAS, 0.0)
    what_if = judged(others, question.variation, 0.5)
    return Comparison(
        resource_group=group,
        since=question.since,
        until=question.until,
        variation=question.variation,
        agents=there,
        agents_what_if=count_of(question.variation, there),
        running_before=running,
        waiting_before=sum(job.leaves_s > 0 for job in before) - running,
        recorded=as_recorded,
        replayed=replayed,
        what_if=what_if,
        notes=_notes(question, recording, (as_recorded, replayed, what_if)),
    )


def _notes(
    question: Question, recording: Recording, found: tuple[ReplayFigures, ...]
) -> tuple[ReplayNote, ...]:
    """Return what is only near the truth, and how far."""
    notes = [
        ReplayNote(
            code="limits-as-now",
            message="Limits of keypairs, projects and domains are as they are now.",
        ),
        ReplayNote(
            code="other-groups-left-out",
            message="What sessions of other groups held does not count towards the limits.",
        ),
    ]
    known = question.agents_known_since
    if known is not None and known > question.since:
        text = f"How agents came and went before {render_time(known)} is not known any more."
        notes.append(ReplayNote(code="agents-not-known", message=text))
    if recording.guessed:
        text = (
            f"{recording.guessed} sessions never started; were they to start, they would run for "
            "as long as others of their user do."
        )
        notes.append(ReplayNote(code="run-times-guessed", message=text))
    if any(one.still_waiting for one in found):
        text = "Sessions that still wait at the end count with what they have waited by then."
        notes.append(ReplayNote(code="waits-cut-off", message=text))
    return tuple(notes)
