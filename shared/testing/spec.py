"""Given these events, when this command, then those events: the language of domain tests.

given(USER, created).when(Deactivate(user_id="u"), facts).then(deactivated)
given(USER).when(Deactivate(user_id="u"), facts).rejected("user_not_found")
given(USER, deactivated).when(Deactivate(user_id="u"), facts).nothing()
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from shared.contracts.base import Event
from shared.eventlog.decider import Decider
from shared.kernel.rejections import Rejection
from shared.processes.process import Alarm, Input, Process, Reaction, Request

S = TypeVar("S")
C = TypeVar("C")
X = TypeVar("X")


class Decided(Generic[S]):
    """What a command came to; one of the methods says what it should have."""

    def __init__(self, decided: Sequence[Event] | Rejection, state: S) -> None:
        self._decided = decided
        self.state = state

    @property
    def events(self) -> tuple[Event, ...]:
        """The events decided; fails if the command was refused."""
        assert not isinstance(self._decided, Rejection), f"refused: {self._decided}"
        return tuple(self._decided)

    @property
    def rejection(self) -> Rejection:
        """The refusal; fails if the command was accepted."""
        assert isinstance(self._decided, Rejection), f"accepted: {self._decided}"
        return self._decided

    def then(self, *events: Event) -> "Decided[S]":
        """Assert that exactly these events happened; `state` is the state after them."""
        assert events, "say nothing() where no event is expected"
        assert self.events == events
        return self

    def nothing(self) -> "Decided[S]":
        """Assert that the command was accepted and changed nothing."""
        assert self.events == ()
        return self

    def rejected(self, code: str) -> Rejection:
        """Assert that the command was refused with this code; returns the refusal."""
        assert self.rejection.code == code, f"refused with {self.rejection}"
        return self.rejection


class Given(Generic[S, C, X]):
    """A decider and the events that have happened."""

    def __init__(self, decider: Decider[S, C, X], events: Sequence[Event]) -> None:
        self._decider = decider
        self._events = tuple(events)

    def when(self, command: C, context: Any = None) -> Decided[S]:
        """Decide a command, with the facts that it is decided on.

        Also asserts what holds for every decider: the same decision twice, and a state that is
        the same whether folded at once or in two parts.
        """
        decider = self._decider
        state = decider.fold(self._events)
        decided = decider.decide(state, command, context)
        assert decider.decide(decider.fold(self._events), command, context) == decided
        if isinstance(decided, Rejection):
            return Decided(decided, state)
        after = decider.fold(decided, state)
        assert decider.fold((*self._events, *decided)) == after
        return Decided(decided, after)


def given(decider: Decider[S, C, X], *events: Event) -> Given[S, C, X]:
    """Start from what has happened to one aggregate."""
    return Given(decider, events)


class Reacted(Generic[S]):
    """What an input led to; one of the methods says what it should have."""

    def __init__(self, reaction: Reaction[S]) -> None:
        self.reaction = reaction

    @property
    def state(self) -> S:
        """The state after the input."""
        return self.reaction.state

    def expect(self, *asked: Request | Alarm) -> "Reacted[S]":
        """Assert that exactly these commands and alarms are asked for, in this order."""
        assert (*self.reaction.requests, *self.reaction.alarms) == asked
        assert not self.reaction.is_done
        return self

    def requests(self, *steps: str) -> "Reacted[S]":
        """Assert that the commands of exactly these steps are asked for."""
        assert tuple(request.step for request in self.reaction.requests) == steps
        return self

    def done(self) -> "Reacted[S]":
        """Assert that the process has ended and asks for nothing more."""
        assert self.reaction.is_done
        assert self.reaction.requests == ()
        return self


class Following(Generic[S]):
    """A process and the inputs that it has had."""

    def __init__(self, process: Process[S], inputs: Sequence[Input]) -> None:
        self._process = process
        self._inputs = tuple(inputs)

    def on(self, happened: Input) -> Reacted[S]:
        """Give the process one more input; also asserts that it reacts the same way twice."""
        state = self._process.initial
        for earlier in self._inputs:
            state = self._process.react(state, earlier).state
        reaction = self._process.react(state, happened)
        assert self._process.react(state, happened) == reaction
        return Reacted(reaction)


def following(process: Process[S], *inputs: Input) -> Following[S]:
    """Start from the inputs that one process has had."""
    return Following(process, inputs)
