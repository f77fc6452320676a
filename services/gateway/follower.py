"""Follows the projection runner after each commit: the indexes in memory, then the open streams."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import asyncpg

from services.gateway.auth.directory import Directory
from services.gateway.live import LiveHub
from services.gateway.telemetry.queues import Queues
from shared.contracts.agents import AgentEvent, ImageDiscovered
from shared.contracts.base import Event
from shared.contracts.policies import SettingChanged, SettingReset
from shared.contracts.scheduler import (
    ResourceGroupEvent,
    SessionCancelled,
    SessionEnqueued,
    SessionEvent,
    SessionFailed,
    SessionTerminated,
)
from shared.contracts.users import (
    DomainChanged,
    DomainCreated,
    KeypairDeactivated,
    KeypairDeleted,
    KeypairEvent,
    KeypairRateLimited,
    KeypairSecretRevealed,
    LoginEnded,
    LoginEvent,
    LoginStarted,
    ProjectEvent,
    ProjectMemberAdded,
    ProjectMemberRemoved,
    ProjectMemberRoleSet,
    UserDeactivated,
    UserErased,
    UserEvent,
    UserLoginBlocked,
    UserMainKeypairSwitched,
    UserRoleChanged,
)
from shared.eventlog.records import Recorded
from shared.projections.projection import Commit

_LIVE_SESSIONS: Final = (
    "select id, user_id from sessions where status not in ('TERMINATED', 'CANCELLED', 'ERROR')"
)
_ENDS: Final = (SessionTerminated, SessionCancelled, SessionFailed)
_POLICY_STREAMS: Final = ("keypair-policy-", "user-policy-", "project-policy-", "preset-")


class Follower:
    """Keeps what is in memory in step with the tables and tells the open pages."""

    def __init__(self, directory: Directory, queues: Queues, live: LiveHub) -> None:
        self._directory = directory
        self._queues = queues
        self._live = live
        self._owners: dict[str, str] = {}
        self._shown_until: dict[str, datetime] = {}

    async def load(self, pool: asyncpg.Pool, now: datetime) -> None:
        """Read everything anew from the tables, before the projections run or after a rebuild."""
        await self._directory.load(pool, now)
        await self._queues.load(pool)
        rows = await pool.fetch(_LIVE_SESSIONS)
        self._owners = {row["id"]: row["user_id"] for row in rows}

    def shown_until(self, source: str) -> datetime | None:
        """Return when the newest event of a source that this process has followed happened."""
        return self._shown_until.get(source)

    def committed(self, commit: Commit) -> None:
        """Follow a batch that is in the tables now."""
        source, events = commit.source, commit.events
        self._shown_until[source] = events[-1].recorded_at
        for recorded in events:
            group = self._group(recorded)
            self._directory.apply(recorded)
            self._queues.apply(recorded)
            mark = f"{source}:{recorded.position}"
            for topic, key, owner in self._touched(recorded):
                self._live.publish(topic, key, owner=owner, mark=mark)
            if group is not None:
                self._live.publish(f"queue:{group}", mark=mark)
            self._end_streams(recorded.event)

    def _end_streams(self, event: Event) -> None:
        """End the open streams of whoever was just refused, or may see something else now."""
        match event:
            case LoginEnded():
                self._live.end_credential(event.login_id)
            case KeypairDeactivated() | KeypairDeleted():
                self._live.end_credential(event.access_key)
            case UserDeactivated() | UserErased() | UserRoleChanged():
                self._live.end_user(event.user_id)

    def _group(self, recorded: Recorded) -> str | None:
        """Return the group whose queue an event changes."""
        event = recorded.event
        if isinstance(event, SessionEnqueued):
            return event.resource_group
        if isinstance(event, SessionEvent):
            return self._queues.group_of(event.session_id)
        return None

    def _touched(self, recorded: Recorded) -> Iterable[tuple[str, str | None, str | None]]:
        """Return the (topic, key, owner) that an event touches."""
        event = recorded.event
        if isinstance(event, SessionEvent):
            owner = self._owner(event)
            yield "sessions", event.session_id, owner
            yield f"session:{event.session_id}", event.session_id, owner
        elif isinstance(event, AgentEvent):
            yield "agents", event.agent_id, None
            yield f"agent:{event.agent_id}", event.agent_id, None
        elif isinstance(event, ResourceGroupEvent):
            # whoever follows may not be shown every group, so none is named
            yield "resource_groups", None, None
        elif isinstance(event, ImageDiscovered):
            yield "images", event.key(), None
        elif recorded.stream.startswith(_POLICY_STREAMS):
            yield "policies", event.key(), None
        elif isinstance(event, SettingChanged | SettingReset):
            yield "settings", event.setting, None
        else:
            yield from _touched_people(recorded)

    def _owner(self, event: SessionEvent) -> str | None:
        if isinstance(event, SessionEnqueued):
            self._owners[event.session_id] = event.user_id
            return event.user_id
        if isinstance(event, _ENDS):
            return self._owners.pop(event.session_id, None)
        return self._owners.get(event.session_id)


def _touched_people(recorded: Recorded) -> Iterable[tuple[str, str, str | None]]:
    event = recorded.event
    match event:
        case UserEvent() | UserLoginBlocked():
            yield from _user(event.user_id)
            if isinstance(event, UserMainKeypairSwitched):
                yield "keypairs", event.access_key, event.user_id
                if event.previous is not None:
                    yield "keypairs", event.previous, event.user_id
        case KeypairSecretRevealed() | KeypairRateLimited():
            return  # nothing that is shown of a keypair is different
        case KeypairEvent():
            yield "keypairs", event.access_key, event.user_id
        case LoginEvent():
            yield "logins", event.login_id, event.user_id
            if isinstance(event, LoginStarted):
                yield from _user(event.user_id)
        case _:
            yield from _touched_tenants(event)


def _touched_tenants(event: Event) -> Iterable[tuple[str, str, str | None]]:
    if isinstance(event, DomainCreated | DomainChanged):
        yield "domains", event.name, None
    elif isinstance(event, ProjectEvent):
        yield "projects", event.project_id, None
        if isinstance(event, ProjectMemberAdded | ProjectMemberRoleSet | ProjectMemberRemoved):
            yield from _user(event.user_id)


def _user(user_id: str) -> Iterable[tuple[str, str, str | None]]:
    yield "users", user_id, user_id
    yield f"user:{user_id}", user_id, user_id
