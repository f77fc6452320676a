"""A session's restart: its kernels end, and others take over the very same places.

Nothing is given back in between, so nobody can come before it. New kernels have new ids: for the
nodes a restart is an end and a start, and what is late of the former ones is of no consequence.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from services.scheduler.domain.grace import grace_problem
from services.scheduler.domain.session import Kernel, Session, SessionFact
from shared.contracts.kernels import EndReason
from shared.contracts.scheduler import KernelRequest, SessionRestarted, SessionRestarting
from shared.kernel.rejections import Rejection, conflict

# ends that leave no place to start again at, or nobody who would
_NO_WAY_BACK: Final[frozenset[EndReason]] = frozenset({"agent-lost", "hang-timeout"})


def restart(
    state: Session,
    *,
    kernel_ids: tuple[str, ...],
    grace_s: int,
    is_reachable: Callable[[str], bool],
) -> tuple[SessionFact, ...] | Rejection:
    """Have a running session's kernels followed by others, of `kernel_ids`, one for each."""
    if (problem := grace_problem(grace_s)) is not None:
        return problem
    if state.status != "RUNNING":
        return not_running(state.status)
    if (problem := _obstacle(state, is_reachable)) is not None:
        return problem
    kernels = tuple(
        KernelRequest(kernel_id=kernel_id, hostname=each.hostname, requested=each.requested)
        for kernel_id, each in zip(kernel_ids, state.kernels, strict=True)
    )
    return (SessionRestarting(session_id=state.session_id, kernels=kernels, grace_s=grace_s),)


def not_running(status: str) -> Rejection:
    """Return the refusal to restart what does not run."""
    text = f"Only a running session can be restarted; this one is {status}."
    return conflict("not_running", text, status=status)


def after_all_are_gone(state: Session) -> SessionRestarted | None:
    """Return what follows once every former kernel has ended; None if it can't start again."""
    wish = state.restarting
    if wish is None or who_prevents_it(state) is not None:
        return None
    return SessionRestarted(
        session_id=state.session_id,
        kernels=wish.kernels,
        placements=tuple(
            msgspec.structs.replace(former.place, kernel_id=latter.kernel_id)
            for former, latter in zip(state.kernels, wish.kernels, strict=True)
            if former.place is not None
        ),
        attempt=state.attempt + 1,
    )


def who_prevents_it(state: Session) -> Kernel | None:
    """Return the kernel whose end leaves nothing to start again at, if that was to happen."""
    if state.restarting is None:
        return None
    return next((each for each in state.kernels if each.reason in _NO_WAY_BACK), None)


def _obstacle(state: Session, is_reachable: Callable[[str], bool]) -> Rejection | None:
    for kernel in state.kernels:
        place = kernel.place
        if place is None or not kernel.is_live:
            text = (
                f"Kernel {kernel.hostname} has ended and given up its place;"
                " terminate the session and submit it anew."
            )
            return conflict("partly_ended", text, kernel=kernel.hostname)
        if not is_reachable(place.agent_id):
            text = f"Agent {place.agent_id} can't be asked now; try again when it is back."
            return conflict("agent_away", text, agent=place.agent_id)
    return None
