"""Sessions and what happens to them, as events in the order of a log; and who holds how much then.

The reckoning here is the obvious one: fold each session by itself, then add up all of them.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import strategies as st

from shared.contracts.base import Actor, Meta
from shared.contracts.scheduler import (
    KernelPlacement,
    KernelRequest,
    KernelStarted,
    KernelTerminated,
    SessionCancelled,
    SessionEnqueued,
    SessionFailed,
    SessionPreparing,
    SessionRestarted,
    SessionRestarting,
    SessionScheduled,
    SessionStarted,
    SessionTerminated,
    SessionTerminating,
)
from shared.eventlog.records import Recorded

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = ("run", "cancel", "fail", "kill", "restart", "broken")
KERNELS_MAX = 3

lives = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from(("u1", "u2")),
            "key": st.sampled_from(("AK1", "AK2", None)),
            "project": st.sampled_from(("p1", "p2")),
            "domain": st.sampled_from(("east", "west")),
            "slots": st.dictionaries(
                st.sampled_from(("cpu", "mem", "cuda.shares")),
                st.integers(min_value=1, max_value=2**60),
                min_size=1,
            ),
            "agents": st.lists(st.sampled_from(("a1", "a2")), min_size=1, max_size=KERNELS_MAX),
            "end": st.sampled_from(ENDS),
        }
    ),
    min_size=1,
    max_size=12,
)


def devices(slots):
    """Hand out what is asked of accelerators: half of the first device, the rest of the second."""
    return {
        slot: {"0": amount // 2, "1": amount - amount // 2}
        for slot, amount in slots.items()
        if slot.startswith("cuda")
    }


def told(session_id, life):
    """Return all events of one session's life."""
    kernels = [f"{session_id}-{number}" for number in range(len(life["agents"]))]
    placed = list(zip(kernels, life["agents"], strict=True))
    about = {"session_id": session_id}
    reason = {"reason": "user-requested"}
    gone = [
        KernelTerminated(
            **about,
            **reason,
            kernel_id=kernel_id,
            attempt=1,
            agent_id=agent_id,
            exit_code=0,
            ended_at=START,
        )
        for kernel_id, agent_id in placed
    ]
    over = SessionTerminated(**about, **reason, result="success", exit_code=0)
    scheduled = SessionScheduled(
        **about,
        attempt=1,
        placements=tuple(
            KernelPlacement(kernel_id=one, agent_id=agent, devices=devices(life["slots"]))
            for one, agent in placed
        ),
    )
    started = [
        KernelStarted(**about, kernel_id=kernel_id, attempt=1, agent_id=agent_id, started_at=START)
        for kernel_id, agent_id in placed
    ]
    preparing = [scheduled, SessionPreparing(**about), *started]
    running = [*preparing, SessionStarted(**about)]
    latter = tuple(
        KernelRequest(kernel_id=f"{one}-again", hostname=one, requested=life["slots"])
        for one in kernels
    )
    restarting = SessionRestarting(**about, kernels=latter)
    places = tuple(
        msgspec.structs.replace(place, kernel_id=kernel.kernel_id)
        for place, kernel in zip(scheduled.placements, latter, strict=True)
    )
    again = [
        SessionRestarted(**about, kernels=latter, placements=places, attempt=2),
        SessionStarted(**about),
        *(
            msgspec.structs.replace(event, kernel_id=f"{event.kernel_id}-again", attempt=2)
            for event in gone
        ),
    ]
    broken_off = [*gone[1:], SessionTerminating(**about, **reason), *gone[:1], over]
    rest = {
        "restart": [*running, restarting, *gone, *again, over],
        "broken": [*running, restarting, *broken_off],
        "run": [*running, *gone, over],
        "kill": [*preparing, SessionTerminating(**about, **reason), *gone, over],
        "fail": [scheduled, SessionFailed(**about, reason="failed-to-start")],
        "cancel": [SessionCancelled(**about, **reason)],
    }[life["end"]]
    return [
        SessionEnqueued(
            **about,
            name=session_id,
            session_type="batch",
            user_id=life["user"],
            access_key=life["key"],
            domain=life["domain"],
            project_id=life["project"],
            resource_group="default",
            image="local/host:latest",
            architecture="x86_64",
            command=None,
            environ=None,
            priority=10,
            cluster_mode="multi-node",
            kernels=tuple(
                KernelRequest(kernel_id=one, hostname=one, requested=life["slots"])
                for one in kernels
            ),
        ),
        *rest,
    ]


def recorded(events):
    """Return events as a log has them."""
    return [
        Recorded(
            position=number,
            stream=f"session-{event.session_id}",
            version=number,
            type=type(event).__name__,
            schema_version=1,
            event=event,
            meta=Meta(actor=Actor("user", "root"), correlation_id="c"),
            event_id=str(number),
            recorded_at=START + timedelta(seconds=number),
        )
        for number, event in enumerate(events, start=1)
    ]


def reckoned(events):
    """Return who holds and who waits for how much: (scope, id, slot) -> amount, twice."""
    held, waiting = Counter(), Counter()
    for enqueued in (event for event in events if isinstance(event, SessionEnqueued)):
        mine = [event for event in events if event.session_id == enqueued.session_id]
        kinds = {type(event) for event in mine}
        if kinds & {SessionTerminated, SessionCancelled, SessionFailed}:
            continue
        charge(held if SessionScheduled in kinds else waiting, enqueued)
        hold(held, list(still_placed(enqueued, mine)))
    return +held, +waiting


def charge(counts, enqueued):
    """Add what a session asks for to everybody whom it is charged to."""
    whom = [
        ("user", enqueued.user_id),
        ("project", enqueued.project_id),
        ("domain", enqueued.domain),
    ]
    if enqueued.access_key is not None:
        whom.append(("keypair", enqueued.access_key))
    for scope, key in whom:
        counts[scope, key, ""] += 1
        for kernel in enqueued.kernels:
            for slot, amount in kernel.requested.items():
                counts[scope, key, slot] += amount


def still_placed(enqueued, mine):
    """Return the places that kernels hold, or will take over, with what each asked for."""
    gone, places, is_restarting = set(), (), False
    for event in mine:
        match event:
            case SessionScheduled() | SessionRestarted():
                gone, places, is_restarting = set(), event.placements, False
            case SessionRestarting():
                is_restarting = True
            case SessionTerminating():
                is_restarting = False
            case KernelTerminated():
                gone.add(event.kernel_id)
    for place, kernel in zip(places, enqueued.kernels, strict=False):
        if is_restarting or place.kernel_id not in gone:
            yield place, kernel.requested


def hold(held, there):
    """Add what kernels hold to their agents and devices."""
    for agent_id in {place.agent_id for place, _ in there}:
        held["agent", agent_id, ""] += 1
    for place, requested in there:
        for slot, amount in requested.items():
            held["agent", place.agent_id, slot] += amount
        for slot, parts in place.devices.items():
            for device_id, amount in parts.items():
                held["device", f"{place.agent_id}/{device_id}", slot] += amount
