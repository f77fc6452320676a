"""How the users service's events change the documents of a batch: pure, in the events' order."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.gateway.documents.keypairs import KeypairDocument
from services.gateway.documents.logins import LoginDocument
from services.gateway.documents.tenancy import DomainDocument, MemberDocument, ProjectDocument
from services.gateway.documents.users import UserDocument
from services.gateway.projections.keypairs import keypair_changed, keypair_issued, main_switched
from services.gateway.projections.people import (
    joined,
    left,
    logged_in,
    login_ended,
    login_started,
    user_changed,
    user_created,
)
from services.gateway.projections.tenants import (
    domain_created,
    member_key,
    member_set,
    project_created,
    tenant_changed,
)
from shared.contracts.base import Event
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairDeleted,
    KeypairEvent,
    KeypairIssued,
    LoginEnded,
    LoginStarted,
    ProjectChanged,
    ProjectCreated,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    UserCreated,
    UserEvent,
    UserLoginBlocked,
    UserMainKeypairSwitched,
)
from shared.eventlog.records import Recorded
from shared.security.persons import PersonKey


class Touched(NamedTuple):
    """The keys of the documents that a batch of events changes."""

    domains: set[str]
    projects: set[str]
    members: set[str]
    users: set[str]
    keypairs: set[str]
    logins: set[str]

    @classmethod
    def by(cls, events: Iterable[Recorded]) -> "Touched":
        """Return what these events touch."""
        found = cls(set(), set(), set(), set(), set(), set())
        for recorded in events:
            found._add(recorded.event)
        return found

    def _add(self, event: Event) -> None:
        match event:
            case DomainChanged():
                self.domains.add(event.name)
            case ProjectChanged():
                self.projects.add(event.project_id)
            case ProjectMemberAdded() | ProjectMemberRoleSet() | ProjectMemberRemoved():
                self.members.add(member_key(event.project_id, event.user_id))
                self.users.add(event.user_id)
            case KeypairIssued() | LoginStarted() | UserLoginBlocked():
                self.users.add(event.user_id)
            case KeypairEvent():
                self.keypairs.add(event.access_key)
            case UserMainKeypairSwitched():
                self.users.add(event.user_id)
                self.keypairs.update(filter(None, (event.access_key, event.previous)))
            case UserEvent():
                self.users.add(event.user_id)
            case LoginEnded():
                self.logins.add(event.login_id)


class Batch:
    """The documents that a batch of events touches, and what else it adds and removes."""

    def __init__(self) -> None:
        self.domains: dict[str, DomainDocument] = {}
        self.projects: dict[str, ProjectDocument] = {}
        self.members: dict[str, MemberDocument] = {}
        self.members_gone: set[str] = set()
        self.users: dict[str, UserDocument] = {}
        self.keypairs: dict[str, KeypairDocument] = {}
        self.keypairs_gone: set[str] = set()
        self.logins: dict[str, LoginDocument] = {}
        self.tokens: dict[str, str] = {}


def fold(batch: Batch, recorded: Recorded, keys: Mapping[str, PersonKey | None]) -> None:
    """Fold one event into the batch; `keys` holds those of the persons it names."""
    event, at = recorded.event, recorded.recorded_at
    match event:
        case UserCreated():
            batch.users[event.user_id] = user_created(event, keys[event.user_id], at)
        case UserMainKeypairSwitched():
            user_changed(batch.users[event.user_id], event, None, at)
            _switch_main(batch, event, recorded)
        case UserEvent() | UserLoginBlocked():
            user_changed(batch.users[event.user_id], event, keys.get(event.user_id), at)
        case KeypairEvent():
            _fold_keypair(batch, event, recorded)
        case LoginStarted():
            address = recorded.meta.client_address
            batch.logins[event.login_id] = login_started(event, address, at)
            batch.tokens[event.login_id] = event.token_hash
            logged_in(batch.users[event.user_id], at)
        case LoginEnded():
            login_ended(batch.logins[event.login_id], event, at)
        case _:
            _fold_tenants(batch, event, recorded)


def _fold_keypair(batch: Batch, event: KeypairEvent, recorded: Recorded) -> None:
    at = recorded.recorded_at
    if isinstance(event, KeypairIssued):
        user = batch.users[event.user_id]
        batch.keypairs[event.access_key] = keypair_issued(event, user.domain, at)
        if event.is_main:
            user.main_access_key = event.access_key
            user.modified_at = at
    elif isinstance(event, KeypairDeleted):
        batch.keypairs.pop(event.access_key)
        batch.keypairs_gone.add(event.access_key)
    else:
        keypair_changed(batch.keypairs[event.access_key], event, at)


def _switch_main(batch: Batch, event: UserMainKeypairSwitched, recorded: Recorded) -> None:
    main_switched(batch.keypairs[event.access_key], recorded.recorded_at, is_main=True)
    before = batch.keypairs.get(event.previous) if event.previous is not None else None
    if before is not None:
        main_switched(before, recorded.recorded_at, is_main=False)


def _fold_tenants(batch: Batch, event: Event, recorded: Recorded) -> None:
    at = recorded.recorded_at
    match event:
        case DomainCreated():
            batch.domains[event.name] = domain_created(event, at)
        case DomainChanged():
            tenant_changed(batch.domains[event.name], event, at)
        case ProjectCreated():
            batch.projects[event.project_id] = project_created(event, at)
        case ProjectChanged():
            tenant_changed(batch.projects[event.project_id], event, at)
        case ProjectMemberAdded() | ProjectMemberRoleSet():
            key = member_key(event.project_id, event.user_id)
            batch.members[key] = member_set(event, batch.members.get(key), at)
            batch.members_gone.discard(key)
            joined(batch.users[event.user_id], event.project_id, at)
        case ProjectMemberRemoved():
            key = member_key(event.project_id, event.user_id)
            batch.members.pop(key, None)
            batch.members_gone.add(key)
            left(batch.users[event.user_id], event.project_id, at)
