"""A process to test with: two steps, the first is undone if the second is refused or too late."""

from datetime import timedelta

import msgspec

from shared.contracts.base import Accepted, Event
from shared.contracts.catalog import VOCABULARIES
from shared.contracts.users import DomainCreated, LoginEnded, LogOut
from shared.eventlog.codec import EventCodec
from shared.processes.events import ProcessAdvanced
from shared.processes.process import (
    Alarm,
    Answered,
    Due,
    Happened,
    Input,
    Process,
    Reaction,
    Request,
)

PATIENCE = timedelta(seconds=60)
CODEC = EventCodec("users", (*VOCABULARIES["users"].events, ProcessAdvanced))


class Transfer(msgspec.Struct, frozen=True):
    name: str = ""
    stage: str = "new"


def take_out(name: str) -> Request:
    return Request("take out", LogOut(login_id=f"{name} out", user_id=name))


def put_in(name: str) -> Request:
    return Request("put in", LogOut(login_id=f"{name} in", user_id=name))


def put_back(name: str) -> Request:
    return Request("put back", LogOut(login_id=f"{name} back", user_id=name))


def concerns(event: Event) -> str | None:
    match event:
        case DomainCreated(name=name):
            return name
        case LoginEnded(user_id=user_id):
            return user_id
        case _:
            return None


def react(state: Transfer, happened: Input) -> Reaction[Transfer]:
    name = state.name
    match happened:
        case Happened(event=DomainCreated(name=new), at=at) if state.stage == "new":
            return Reaction(
                Transfer(new, "taking out"), (take_out(new),), (Alarm("late", at + PATIENCE),)
            )
        case Answered(step="take out", reply=Accepted()) if state.stage == "taking out":
            return Reaction(Transfer(name, "putting in"), (put_in(name),))
        case Answered(step="take out"):
            return Reaction(Transfer(name, "refused"), is_done=True)
        case Answered(step="put in", reply=Accepted()) if state.stage == "putting in":
            return Reaction(Transfer(name, "transferred"), is_done=True)
        case Answered(step="put in") | Due(alarm="late") if state.stage == "putting in":
            return Reaction(
                Transfer(name, "putting back"), (put_back(name),), (Alarm("late", None),)
            )
        case Answered(step="put back"):
            return Reaction(Transfer(name, "undone"), is_done=True)
        case _:
            return Reaction(state)


TRANSFER = Process(
    name="transfer",
    state_type=Transfer,
    initial=Transfer(),
    concerns=concerns,
    react=react,
)
