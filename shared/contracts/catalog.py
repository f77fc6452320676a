"""Everything the services say, listed by service: what the generated contracts are made from."""

from typing import Any, Final, NamedTuple, get_args

from shared.contracts import agents, policies, scheduler, users
from shared.contracts.base import LOG_SERVICES, Command, Event, Query, ServiceName


class Vocabulary(NamedTuple):
    """The events, commands and queries of one service, in the order they are defined."""

    service: ServiceName
    summary: str
    events: tuple[type[Event], ...]
    commands: tuple[type[Command], ...]
    queries: tuple[type[Query], ...]


def _members(union: Any) -> tuple[Any, ...]:
    return get_args(union) or (union,)


def _vocabulary(service: ServiceName) -> Vocabulary:
    none: tuple[Any, ...] = ()
    unions: dict[str, tuple[str, tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]] = {
        "users": (
            users.__doc__ or "",
            _members(users.UsersEvent),
            _members(users.UsersCommand),
            _members(users.UsersQuery),
        ),
        "policies": (
            policies.__doc__ or "",
            _members(policies.PoliciesEvent),
            _members(policies.PoliciesCommand),
            none,
        ),
        "scheduler": (
            scheduler.__doc__ or "",
            _members(scheduler.SchedulerEvent),
            _members(scheduler.SchedulerCommand),
            _members(scheduler.SchedulerQuery),
        ),
        "agents": (
            agents.__doc__ or "",
            _members(agents.AgentsEvent),
            _members(agents.AgentsCommand),
            none,
        ),
    }
    summary, events, commands, queries = unions.get(service, ("", none, none, none))
    return Vocabulary(service, summary, events, commands, queries)


VOCABULARIES: Final[dict[ServiceName, Vocabulary]] = {
    service: _vocabulary(service) for service in LOG_SERVICES
}
SPEAKING: Final = tuple(item for item in VOCABULARIES.values() if item.events)
