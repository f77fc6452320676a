"""What to do next with one kernel, and what its end means. Pure."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from services.agents.node.runtime import Exit, Presence
from shared.contracts.kernels import EndReason, KernelPhase, KernelSpec

LAUNCHES_MAX: Final = 3
ENDED: Final[frozenset[KernelPhase]] = frozenset({"terminated", "failed"})
NEVER_RAN: Final = "It was ended before it ran."

StopKind = Literal["asked", "forced", "superseded"]
Step = Literal[
    "wait",
    "take",
    "decline",
    "launch",
    "give_up",
    "forbid",
    "confirm_running",
    "stop",
    "finish",
    "forget",
]


class Unnamed(msgspec.Struct, frozen=True):
    """The desired state does not name the kernel: it may be forgotten once it has ended.

    It is not stopped for that: a bucket may lose its tail. The scheduler hears of it by heartbeats
    and says so when it shall be gone.
    """


class Undecided(msgspec.Struct, frozen=True):
    """What is desired is not known yet, so nothing is started and nothing stopped."""


Wish: TypeAlias = KernelSpec | Unnamed | Undecided


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal holds of the newest attempt of a kernel.

    `launch` numbers the newest launch that was made durable; `stop` is set once a stop is decided,
    with the moment after which it goes by force.
    """

    spec: KernelSpec
    phase: KernelPhase
    user_index: int
    launch: int = 0
    stop: StopKind | None = None
    kill_at: datetime | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel's end is told."""

    phase: Literal["terminated", "failed"]
    reason: EndReason
    exit_code: int | None = None
    detail: str = ""


def next_step(
    record: Record | None,
    wish: Wish,
    presence: Presence,
    *,
    settled: bool = False,
    began: bool = False,
    launched: int = 0,
) -> Step:
    """Return the next step for a kernel.

    `presence` is what the runtime finds of the record's attempt; `began` that its command is
    known to have run; `settled` that every report of it has been accepted; `launched` counts this
    daemon's launches of it. Those of daemons that died do not count: it was not the command that
    failed.
    """
    if record is None:
        return _first_step(wish)
    if record.phase in ENDED:
        return _after_end(record, wish, settled=settled)
    if presence in {"ended", "lost"}:
        # Who reads the reports hears of every start, however short the run was.
        return "confirm_running" if began and record.phase == "preparing" else "finish"
    if presence == "absent":
        return _step_before_start(record, wish, launched)
    if presence == "running" and record.phase == "preparing":
        return "confirm_running"
    if presence == "running" and (wanted_stop(record, wish) or record.stop):
        return "stop"
    return "wait"


def _first_step(wish: Wish) -> Step:
    if isinstance(wish, Undecided):
        return "wait"
    if isinstance(wish, Unnamed):
        return "forget"
    return "take" if wish.goal == "running" else "decline"


def _after_end(record: Record, wish: Wish, *, settled: bool) -> Step:
    if isinstance(wish, Unnamed):
        return "forget" if settled else "wait"
    if isinstance(wish, KernelSpec) and wish.attempt > record.spec.attempt:
        return _first_step(wish)
    return "wait"


def _step_before_start(record: Record, wish: Wish, launched: int) -> Step:
    if record.phase == "running":
        # The runtime has lost its traces of what ran: it must not run again.
        return "finish"
    if wanted_stop(record, wish) or record.stop:
        return "forbid"
    if isinstance(wish, Undecided | Unnamed):
        return "wait"
    return "launch" if launched < LAUNCHES_MAX else "give_up"


def wanted_stop(record: Record, wish: Wish) -> StopKind | None:
    """Return how the kernel shall be stopped, `None` where it shall go on."""
    if isinstance(wish, Undecided | Unnamed):
        return None
    if wish.attempt > record.spec.attempt:
        return "superseded"
    if wish.attempt < record.spec.attempt or wish.goal == "running":
        return None
    return "forced" if wish.forced else "asked"


def stops_at_once(kind: StopKind) -> bool:
    """Tell whether a stop leaves no time to end by itself."""
    return kind in {"forced", "superseded"}


def is_news(old: Wish, new: Wish) -> bool:
    """Tell whether a wish replaces another: an older attempt or epoch never does."""
    if not (isinstance(old, KernelSpec) and isinstance(new, KernelSpec)):
        return True
    return (new.attempt, new.epoch) >= (old.attempt, old.epoch)


def judge_end(record: Record, end: Exit | None) -> Ending:
    """Return how the end of an attempt is told; `end` is `None` where nobody saw it."""
    if end is None:
        detail = "Its processes are gone and nobody saw them end."
        return Ending(phase="terminated", reason="kernel-lost", detail=detail)
    if end.code is None and record.stop is not None:
        # The stop came while the sandbox was being set up.
        return Ending(phase="terminated", reason=stop_reason(record.stop), detail=NEVER_RAN)
    if end.code is None:
        return Ending(phase="failed", reason="failed-to-start", detail=end.error)
    detail = "; ".join(end.notes)
    reason = _reason(record, end)
    if reason == "out-of-memory":
        limit = record.spec.resources.get("mem")
        told = "" if limit is None else f" of {limit} bytes"
        detail = "; ".join([f"It went over its memory limit{told}.", *end.notes])
    return Ending(phase="terminated", reason=reason, exit_code=end.code, detail=detail)


def _reason(record: Record, end: Exit) -> EndReason:
    if record.stop is not None:
        return stop_reason(record.stop)
    if end.oom_kills and end.code != 0:
        return "out-of-memory"
    if record.spec.session_type != "batch":
        return "self-terminated"
    return "task-finished" if end.code == 0 else "task-failed"


def stop_reason(kind: StopKind) -> EndReason:
    """Return the reason that a stop is told with."""
    return "user-requested" if kind == "asked" else "force-terminated"
