"""Whether sessions may enter a queue, and what they are then: all that is wrong is said at once."""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from services.scheduler.domain.dependencies import Find, dependency_errors, resolved
from services.scheduler.domain.designating import designation_errors
from services.scheduler.domain.entering import group_errors
from services.scheduler.domain.quota import KeypairLimits, PendingUse, exceeded
from services.scheduler.domain.raising import (
    ImageNeeds,
    Raised,
    below_minimum,
    raised,
    shared_memory_errors,
)
from services.scheduler.domain.resource_group import ResourceGroup
from services.scheduler.placement.index import CONTAINERS
from services.scheduler.placement.model import Agent, Shape, shape_of
from services.scheduler.placement.reasons import Impossible
from shared.contracts.scheduler import (
    DEFAULT_PRIORITY,
    EnqueueSession,
    KernelRequest,
    SessionEnqueued,
)
from shared.kernel.rejections import FieldError, Rejection, all_invalid, conflict, unavailable

NAME_MAX: Final = 64
COUNT_MAX: Final = 10_000
CLUSTER_MAX: Final = 1_000
PRIORITY_MAX: Final = 100
COMMAND_BYTES_MAX: Final = 131_072
START_YEAR_MAX: Final = 2999
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look up. `architecture` None: nobody offers the image.

    `user_problem`, `project_problem` and `keypair_problem` say what is wrong with them, None when
    nothing is. `access_key` is the keypair whose `limits` hold, and `pending` what waits under it.
    `offered_slots` are those that the agents of the group have.
    """

    group: ResourceGroup | None
    architecture: str | None
    user_problem: FieldError | None
    project_problem: FieldError | None
    is_name_taken: Callable[[str], bool]
    impossible: Callable[[Shape], Impossible | None]
    make_id: Callable[[], str]
    sees_all_groups: bool = False
    access_key: str | None = None
    keypair_problem: FieldError | None = None
    limits: KeypairLimits | None = None
    pending: PendingUse = PendingUse()
    find_dependency: Find = lambda _name: None
    image: ImageNeeds = ImageNeeds()
    offered_slots: frozenset[str] = frozenset()
    find_agent: Callable[[str], Agent | None] = lambda _agent_id: None


def names_of(command: EnqueueSession) -> tuple[str, ...]:
    """Return the names of the sessions that a command asks for."""
    if command.count == 1:
        return (command.name,)
    return tuple(f"{command.name}-{number}" for number in range(command.count))


def decide(command: EnqueueSession, facts: Facts) -> tuple[SessionEnqueued, ...] | Rejection:
    """Return one event for each session, or everything that is wrong with the request."""
    lifted = raised(command, facts.image, facts.offered_slots)
    split = shared_memory_errors(command if command.resources.get("mem") else lifted.command)
    command = lifted.command
    wrong_facts = _fact_errors(command, facts)
    errors = (*_shape_errors(command), *split, *wrong_facts)
    if errors:
        refusal = all_invalid(errors)
        # one broken rule names itself, as the API promises for some of them
        only = errors[0] if len(errors) == 1 and wrong_facts else None
        return msgspec.structs.replace(refusal, code=only.code) if only else refusal
    if command.strict and lifted.adjustments:
        return below_minimum(command.image, lifted.adjustments)
    over = _over_quota(command, facts)
    if over is not None:
        return over
    names = names_of(command)
    taken = [name for name in names if facts.is_name_taken(name)]
    if taken:
        return conflict(
            "session_name_taken",
            f"You have a session named {taken[0]} that has not ended yet.",
            names=taken[:20],
        )
    architecture = facts.architecture or ""
    shape = shape_of(
        command.resources,
        command.image,
        architecture,
        command.cluster_size,
        command.cluster_mode,
        command.designated_agents,
    )
    impossible = facts.impossible(shape)
    if impossible is not None:
        return _can_never_run(impossible)
    return tuple(_enqueued(lifted, name, architecture, facts) for name in names)


def _over_quota(command: EnqueueSession, facts: Facts) -> Rejection | None:
    if facts.access_key is None:
        return None
    if facts.limits is None:
        text = "The scheduler has not heard of the keypair's policy yet; try again."
        return unavailable("policy_unknown", text)
    return exceeded(command, facts.access_key, facts.limits, facts.pending)


def _shape_errors(command: EnqueueSession) -> list[FieldError]:
    """Return what is wrong with the request in itself."""
    errors = []
    longest = names_of(msgspec.structs.replace(command, count=min(max(command.count, 1), 2)))[-1]
    width = len(str(max(command.count - 1, 0))) if command.count > 1 else 1
    if not _NAME.fullmatch(command.name) or len(longest) + width - 1 > NAME_MAX:
        message = (
            f"name: 1 to {NAME_MAX} letters, digits, dots, dashes and underscores, "
            "a letter or a digit first and last"
        )
        errors.append(FieldError("name", "session_name", message))
    errors.extend(
        FieldError(field, "out_of_range", f"{field} must be between {least} and {most}.")
        for field, value, least, most in (
            ("priority", command.priority or 0, 0, PRIORITY_MAX),
            ("cluster_size", command.cluster_size, 1, CLUSTER_MAX),
            ("count", command.count, 1, COUNT_MAX),
        )
        if not least <= value <= most
    )
    if not any(amount > 0 for amount in command.resources.values()):
        errors.append(FieldError("resources", "required", "Say how much of what is needed."))
    errors.extend(
        FieldError(f"resources.{slot}", "negative", f"{slot} can't be negative.")
        for slot, amount in command.resources.items()
        if amount < 0
    )
    starts_at = command.starts_at
    if starts_at is not None and (starts_at.tzinfo is None or starts_at.year > START_YEAR_MAX):
        message = f"starts_at is a time with its zone, before the year {START_YEAR_MAX + 1}."
        errors.append(FieldError("starts_at", "out_of_range", message))
    errors.extend(_device_errors(command))
    return [*errors, *_command_errors(command)]


def _device_errors(command: EnqueueSession) -> list[FieldError]:
    errors = []
    wanted = {slot for slot, amount in command.resources.items() if amount > 0}
    for slot in sorted(wanted):
        maker, _, kind = slot.rpartition(".")
        if kind == "device" and command.resources[slot] % 1000:
            errors.append(
                FieldError(f"resources.{slot}", "whole_devices", f"{slot} is given in wholes.")
            )
        if kind == "device" and f"{maker}.shares" in wanted:
            message = f"Ask for {maker}.device or {maker}.shares, not both."
            errors.append(FieldError(f"resources.{slot}", "device_and_shares", message))
    return errors


def _command_errors(command: EnqueueSession) -> list[FieldError]:
    if command.command is None:
        if command.session_type == "batch":
            return [FieldError("command", "required", "A batch session needs a command.")]
        return []
    if not command.command or not command.command[0]:
        return [FieldError("command", "empty", "A command needs a program to run.")]
    if any("\0" in argument for argument in command.command):
        return [FieldError("command", "not_text", "A command holds no NUL character.")]
    if sum(len(argument.encode()) for argument in command.command) > COMMAND_BYTES_MAX:
        message = f"A command has at most {COMMAND_BYTES_MAX} bytes."
        return [FieldError("command", "too_long", message)]
    return []


def _fact_errors(command: EnqueueSession, facts: Facts) -> list[FieldError]:
    """Return what is wrong with what the request refers to."""
    problems = (facts.user_problem, facts.project_problem, facts.keypair_problem)
    errors = [problem for problem in problems if problem]
    group, sees_all = facts.group, facts.sees_all_groups
    errors.extend(group_errors(command, group, facts.access_key, sees_all=sees_all))
    if facts.architecture is None:
        message = f"No agent offers the image '{command.image[:128]}'."
        errors.append(FieldError("image", "image_not_found", message))
    errors.extend(designation_errors(command, facts.find_agent, facts.architecture))
    errors.extend(dependency_errors(command.depends_on, facts.find_dependency))
    return errors


def _can_never_run(impossible: Impossible) -> Rejection:
    errors = tuple(
        FieldError(
            "cluster_size" if one.slot == CONTAINERS else f"resources.{one.slot}",
            "no_agent_could_hold",
            f"{one.slot}: {one.requested} asked, the largest agent has {one.limit}.",
        )
        for one in impossible.violations
    )
    return Rejection(
        kind="invalid",
        code="no_agent_could_hold",
        message=impossible.message,
        errors=errors,
        details={"violations": msgspec.to_builtins(impossible.violations)},
    )


def _priority(command: EnqueueSession, limits: KeypairLimits | None) -> int:
    """Return the priority that was asked for; without one the usual, or the most there may be."""
    if command.priority is not None:
        return command.priority
    most = limits.max_priority if limits else None
    return DEFAULT_PRIORITY if most is None else min(DEFAULT_PRIORITY, most)


def _enqueued(lifted: Raised, name: str, architecture: str, facts: Facts) -> SessionEnqueued:
    command = lifted.command
    requested = {slot: amount for slot, amount in command.resources.items() if amount}
    kernels = tuple(
        KernelRequest(
            kernel_id=facts.make_id(),
            hostname=f"sub{number}" if number else "main1",
            requested=requested,
        )
        for number in range(command.cluster_size)
    )
    return SessionEnqueued(
        session_id=facts.make_id(),
        name=name,
        session_type=command.session_type,
        user_id=command.user_id,
        access_key=facts.access_key,
        domain=command.domain,
        project_id=command.project_id,
        resource_group=facts.group.name if facts.group else "",
        image=command.image,
        architecture=architecture,
        command=command.command,
        environ=command.environ,
        priority=_priority(command, facts.limits),
        cluster_mode=command.cluster_mode,
        kernels=kernels,
        sudo=command.sudo,
        starts_at=command.starts_at,
        depends_on=resolved(command.depends_on, facts.find_dependency),
        shared_memory=command.shared_memory,
        designated_agents=tuple(sorted(set(command.designated_agents))),
        adjustments=lifted.adjustments,
    )
