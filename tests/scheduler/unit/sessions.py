"""Sessions for tests: made from events, as the log would."""

from datetime import UTC, datetime, timedelta

from services.scheduler.domain import restarting, session_rules
from services.scheduler.domain.session import evolve
from shared.contracts.kernels import KernelReport
from shared.contracts.scheduler import KernelPlacement, KernelRequest, SessionEnqueued
from shared.kernel.rejections import Rejection

START = datetime(2026, 1, 1, tzinfo=UTC)


def enqueued(session_id="s1", kernels=1, session_type="batch", **more):
    requested = more.pop("requested", {"cpu": 1000})
    values = {
        "name": session_id,
        "user_id": "u1",
        "access_key": None,
        "domain": "default",
        "project_id": "p1",
        "resource_group": "default",
        "image": "img",
        "architecture": "x86_64",
        "command": ("true",),
        "environ": None,
        "priority": 10,
        "cluster_mode": "multi-node",
        **more,
    }
    return SessionEnqueued(
        session_id=session_id,
        session_type=session_type,
        kernels=tuple(
            KernelRequest(
                kernel_id=f"{session_id}.{number}",
                hostname=f"sub{number}" if number else "main1",
                requested=requested,
            )
            for number in range(kernels)
        ),
        **values,
    )


class Life:
    """A session that things happen to; keeps all its events."""

    def __init__(self, event) -> None:
        self.events = [event]
        self.state = evolve(None, event)

    def take(self, events):
        for event in events:
            self.state = evolve(self.state, event)
            self.events.append(event)
        return [type(event).__name__ for event in events]

    def place(self, agent="a1", incarnation="i1"):
        return self.take(
            session_rules.place(
                self.state,
                tuple(
                    KernelPlacement(
                        kernel_id=kernel.kernel_id, agent_id=agent, incarnation=incarnation
                    )
                    for kernel in self.state.kernels
                ),
            )
        )

    def report(self, phase, kernel=0, agent="a1", incarnation="i1", attempt=1, **more):
        """Have a node report of a kernel, by its number or its id."""
        seen = KernelReport(
            session_id=self.state.session_id,
            kernel_id=kernel if isinstance(kernel, str) else f"{self.state.session_id}.{kernel}",
            attempt=attempt,
            sequence=len(self.events),
            phase=phase,
            at=START + timedelta(seconds=len(self.events)),
            **more,
        )
        return self.take(session_rules.report(self.state, seen, agent, incarnation))

    def terminate(self, *, forced=False, grace_s=10, reachable=True):
        return self.take(
            session_rules.terminate(
                self.state,
                forced=forced,
                grace_s=grace_s,
                at=START,
                is_reachable=lambda _: reachable,
            )
        )

    def restart(self, *, grace_s=10, reachable=True):
        """Restart it; kernel s1.0 is followed by s1.0', that one by s1.0''."""
        found = restarting.restart(
            self.state,
            kernel_ids=tuple(f"{kernel.kernel_id}'" for kernel in self.state.kernels),
            grace_s=grace_s,
            is_reachable=lambda _: reachable,
        )
        return found if isinstance(found, Rejection) else self.take(found)

    def lose(self, *kernels, reason="kernel-lost"):
        lost = {f"{self.state.session_id}.{kernel}": reason for kernel in kernels}
        return self.take(session_rules.lose(self.state, lost, START, "gone"))

    @property
    def last(self):
        return self.events[-1]


def running(**more):
    life = Life(enqueued(**more))
    life.place()
    for kernel in range(len(life.state.kernels)):
        life.report("running", kernel)
    return life
