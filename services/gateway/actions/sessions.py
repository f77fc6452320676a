"""Submitting and ending sessions."""

from typing import Any, Final

import msgspec

from services.gateway.actions.session_start import dependencies, start_time
from services.gateway.actions.session_wishes import may_designate, shared_memory_of
from services.gateway.auth.permissions import Verdict, forbidden, judge
from services.gateway.auth.principals import Principal
from services.gateway.gateway import Gateway
from services.gateway.http.bodies import Body
from services.gateway.http.calls import Call
from services.gateway.http.problems import Refused
from services.gateway.reads.policies import PRESETS
from services.gateway.reads.presets import preset_for
from services.gateway.reads.projects import project_for
from services.gateway.reads.sessions import SESSIONS
from services.gateway.writes import Written
from shared.contracts.kernels import SessionType
from shared.contracts.scheduler import (
    ClusterMode,
    EnqueueSession,
    SimulateSession,
    Simulation,
    TerminateSession,
)
from shared.eventlog.records import CommandKey
from shared.kernel.rejections import FieldError, Rejection, all_invalid
from shared.kernel.slots import RawSlots, Slots, parse_slots
from shared.security.environ import seal_environ

ENVIRON_BYTES_MAX: Final = 65_536


class CreateSessionBody(Body, frozen=True, kw_only=True):
    """A session to run, or `count` equal ones.

    `resources` is what each kernel asks for; `command` is a list of arguments, or one text for the
    shell. `project` is an id or a name; the caller's first general project unless given. `preset`
    is an id or a name: that of the group goes before that of every group, and what `resources`
    says before both. It starts at `starts_at` (RFC 3339) or later, and once all sessions of
    `depends_on`, ids or names of one's own, have ended well. Without a `resource_group` it is that
    of the preset, else that of the designated agents, else the default one, else the first by
    name, of those that take it. A part of each kernel's `mem` is `shared_memory` (bytes, or "64m");
    unless given it is the preset's or what suits the image. A slot below the minimum of the image
    is raised to it, which `adjustments` tell; with `strict` it is refused (422
    `below_image_minimum`). Administrators may name `designated_agents`; no other will do then.
    """

    name: str
    type: SessionType
    image: str
    resource_group: str | None = None
    resources: dict[str, int | float | str] = {}
    preset: str | None = None
    cluster_size: int = 1
    cluster_mode: ClusterMode = "single-node"
    mounts: list[dict[str, Any]] = []
    environ: dict[str, str] = {}
    command: list[str] | str | None = None
    priority: int | None = None
    starts_at: str | None = None
    depends_on: list[str] = []
    project: str | None = None
    count: int = 1
    shared_memory: int | str | None = None
    designated_agents: list[str] = []
    strict: bool = False


async def create_sessions(
    gateway: Gateway, call: Call, body: CreateSessionBody, key: CommandKey | None = None
) -> Written:
    """Put sessions into the queue. The result holds `session_ids`, in order."""
    return await gateway.writes.perform(call, await enqueueing(gateway, call, body), key)


async def simulate_sessions(gateway: Gateway, call: Call, body: CreateSessionBody) -> Simulation:
    """Tell what would become of sessions if they were put into the queue; nothing is changed."""
    command = SimulateSession(enqueue=await enqueueing(gateway, call, body))
    answered = await gateway.writes.submit(command, call.meta())
    return msgspec.convert(answered.result, Simulation)


async def enqueueing(gateway: Gateway, call: Call, body: CreateSessionBody) -> EnqueueSession:
    """Return the command that a body means; raises Refused with all that is wrong with it."""
    principal = call.caller()
    designated = may_designate(principal, body.designated_agents)
    user = gateway.directory.users[principal.user_id]
    errors = [*_not_offered(body), *_environ_errors(body.environ)]
    starts_at = start_time(body.starts_at, errors)
    depends_on = await dependencies(gateway.reads.pool, principal.user_id, body.depends_on, errors)
    preset = await _preset(gateway, principal, body, errors)
    resources = _resources(body, preset, errors)
    shared_memory = shared_memory_of(body.shared_memory, preset, errors)
    if errors:
        raise Refused(all_invalid(tuple(errors)))
    project = await project_for(gateway.reads, principal, body.project)
    if isinstance(project, Rejection):
        raise Refused(project)
    environ = None
    if body.environ:
        environ = seal_environ(gateway.keyring, principal.user_id, body.environ)
    return EnqueueSession(
        name=body.name,
        session_type=body.type,
        user_id=principal.user_id,
        access_key=principal.access_key or user.main_access_key,
        domain=principal.domain,
        project_id=project,
        image=body.image,
        resource_group=body.resource_group or preset.get("resource_group"),
        resources=resources,
        command=_arguments(body.command),
        environ=environ,
        priority=body.priority,
        cluster_size=body.cluster_size,
        cluster_mode=body.cluster_mode,
        count=body.count,
        sudo=user.sudo_session_enabled,
        starts_at=starts_at,
        depends_on=depends_on,
        shared_memory=shared_memory,
        designated_agents=designated,
        strict=body.strict,
    )


async def terminate_session(
    gateway: Gateway,
    call: Call,
    session_id: str,
    *,
    forced: bool,
    key: CommandKey | None = None,
) -> Written:
    """End a session that the caller may end."""
    await permitted(gateway, call.caller(), session_id, "sessions.terminate")
    command = TerminateSession(session_id=session_id, forced=forced)
    return await gateway.writes.perform(call, command, key)


async def permitted(
    gateway: Gateway, principal: Principal, session_id: str, action: str
) -> dict[str, Any]:
    """Return a session that the caller may do `action` to; raises Refused (404, 403)."""
    found = await gateway.reads.decoded(SESSIONS, principal, session_id)
    if isinstance(found, Rejection):
        raise Refused(found)
    verdict = judge(
        principal,
        action,
        read_action=SESSIONS.read_action,
        owner=found["user_id"],
        domain=found["domain"],
    )
    if verdict is not Verdict.ALLOWED:
        raise Refused(forbidden(action))
    return found


def _not_offered(body: CreateSessionBody) -> list[FieldError]:
    """Refuse what the API describes but this version cannot do: never ignore it silently."""
    if not body.mounts:
        return []
    return [FieldError("mounts", "not_available", "mounts is not available in this version.")]


def _environ_errors(environ: dict[str, str]) -> list[FieldError]:
    errors = [
        FieldError(f"environ.{name[:64]}", "malformed", f"'{name[:64]}' is not a variable's name.")
        for name in environ
        if not name or "=" in name
    ]
    if sum(len(name) + len(value) for name, value in environ.items()) > ENVIRON_BYTES_MAX:
        message = f"The environment holds more than {ENVIRON_BYTES_MAX} characters."
        errors.append(FieldError("environ", "too_large", message))
    return errors


async def _preset(
    gateway: Gateway, principal: Principal, body: CreateSessionBody, errors: list[FieldError]
) -> dict[str, Any]:
    """Return the preset that is meant, an empty one if none is."""
    if body.preset is None:
        return {}
    key = await preset_for(gateway.reads, body.preset, body.resource_group)
    found = await gateway.reads.decoded(PRESETS, principal, key)
    if not isinstance(found, Rejection):
        return found
    text = f"There is no preset '{body.preset[:64]}' for this resource group, or none of its own."
    errors.append(FieldError("preset", "unknown", text))
    return {}


def _resources(body: CreateSessionBody, preset: dict[str, Any], errors: list[FieldError]) -> Slots:
    raw: RawSlots = {**preset.get("resource_slots", {}), **body.resources}
    slots = parse_slots(raw)
    if isinstance(slots, tuple):
        errors.extend(
            FieldError(f"resources.{error.field}", error.code, error.message) for error in slots
        )
        return {}
    return slots


def _arguments(command: list[str] | str | None) -> tuple[str, ...] | None:
    if command is None:
        return None
    return ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)
