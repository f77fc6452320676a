"""Where two books differ in what they say is used: these that are lived with, and a fresh fold."""

from collections.abc import Iterator, Mapping
from typing import Final

from services.scheduler.books import Books
from services.scheduler.domain.session import Session
from shared.contracts.scheduler import UsageDifference
from shared.contracts.scheduler.usage import DifferenceKind
from shared.kernel.slots import render_amount

_COUNTS: Final = ("sessions", "kernels")
Amounts = Mapping[tuple[str, str], int]


def differences(live: Books, fresh: Books) -> list[UsageDifference]:
    """Return what the live books say otherwise than a fold of the log up to the same event."""
    return [
        *_of_amounts("agent-usage", _on_agents(live), _on_agents(fresh)),
        *_of_amounts("scope-usage", _held(live), _held(fresh)),
        *_of_amounts("pending-usage", _waiting(live), _waiting(fresh)),
        *_of_sessions(live.sessions, fresh.sessions),
    ]


def _of_amounts(kind: DifferenceKind, live: Amounts, fresh: Amounts) -> Iterator[UsageDifference]:
    for owner, slot in sorted(live.keys() | fresh.keys()):
        before, after = live.get((owner, slot), 0), fresh.get((owner, slot), 0)
        if before != after:
            is_agent = kind == "agent-usage"
            yield UsageDifference(
                kind=kind,
                agent_id=owner if is_agent else None,
                scope=None if is_agent else owner,
                slot=slot,
                before=_told(slot, before),
                after=_told(slot, after),
            )


def _of_sessions(
    live: Mapping[str, Session], fresh: Mapping[str, Session]
) -> Iterator[UsageDifference]:
    # nearly all are equal in everything, which is the cheapest to see
    unequal = [key for key, session in live.items() if fresh.get(key) != session]
    unequal += fresh.keys() - live.keys()
    for session_id in sorted(unequal):
        before, after = live.get(session_id), fresh.get(session_id)
        if _counts(before) != _counts(after):
            yield UsageDifference(
                kind="session-state",
                session_id=session_id,
                before="absent" if before is None else before.status,
                after="absent" if after is None else after.status,
            )


def _counts(session: Session | None) -> object:
    """Return what of a session matters for usage."""
    if session is None:
        return None
    kernels = tuple((one.kernel_id, one.phase, one.place) for one in session.kernels)
    return session.status, session.attempt, kernels


def _on_agents(books: Books) -> Amounts:
    found: dict[tuple[str, str], int] = {}
    for agent_id, row in books.cluster.rows.items():
        found.update(((agent_id, slot), amount) for slot, amount in row.reserved.items())
        found.update(
            ((agent_id, f"device {device}"), part) for device, part in row.devices_used.items()
        )
        found[agent_id, "kernels"] = row.kernels
    return found


def _held(books: Books) -> Amounts:
    return _flat(books.ledgers.state())


def _waiting(books: Books) -> Amounts:
    uses = books.pending.state()
    return _flat({f"keypair:{access_key}": use for access_key, use in uses.items()})


def _flat(uses: Mapping[str, tuple[int, Mapping[str, int]]]) -> Amounts:
    found: dict[tuple[str, str], int] = {}
    for scope, (sessions, slots) in uses.items():
        found[scope, "sessions"] = sessions
        found.update(((scope, slot), amount) for slot, amount in slots.items())
    return found


def _told(slot: str, amount: int) -> str:
    if slot in _COUNTS:
        return str(amount)
    return render_amount(slot.removeprefix("device "), amount)
