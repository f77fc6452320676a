"""What every installation begins with: a default policy of each kind, and three presets.

Each is one transaction under its name, so a crash half-way or two processes at once still make
each exactly once; what an administrator has changed or deleted since is left alone.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from services.policies.domain import keypair_policy, preset, project_policy, user_policy
from services.policies.domain.preset import NewPreset
from services.policies.domain.settings import INITIAL as SETTINGS
from services.policies.domain.settings import maxima
from services.policies.names import default_claim, preset_claim
from shared.contracts.base import Actor, Meta
from shared.contracts.policies import (
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    DefinePreset,
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    PoliciesEvent,
)
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken, StreamConflict
from shared.eventlog.records import Claim, Write
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.observability.logging import get_logger

SEEDED: Final = "seeded"
GIB: Final = 2**30
CPU: Final = 1000
HOUR_S: Final = 3600

KEYPAIR_POLICY: Final = CreateKeypairPolicy(
    name="default",
    is_default=True,
    default_for_unspecified="unlimited",
    max_concurrent_sessions=5,
    max_concurrent_sftp_sessions=1,
    max_containers_per_session=1,
    idle_timeout=HOUR_S,
    allowed_hosts={
        "local": (
            "create-vfolder",
            "modify-vfolder",
            "delete-vfolder",
            "mount-in-session",
            "upload-file",
            "download-file",
            "invite-others",
            "set-user-specific-permission",
        )
    },
)
USER_POLICY: Final = CreateUserPolicy(
    name="default",
    max_folder_count=None,
    max_quota_scope_size=None,
    max_session_count_per_model_session=10,
    max_customized_image_count=3,
)
PROJECT_POLICY: Final = CreateProjectPolicy(
    name="default", max_folder_count=None, max_quota_scope_size=None, max_network_count=3
)
# name, cpu cores, memory in GiB, shared memory in MiB
PRESETS: Final = (("small", 1, 1, 64), ("medium", 2, 4, 256), ("large", 4, 8, 1024))

logger = get_logger(__name__)


class Seed(NamedTuple):
    """One thing to make: what remembers that it was made, what to write, what it claims."""

    mark: str
    write: Write
    claims: tuple[Claim, ...] = ()


def seeds() -> Iterator[Seed]:
    """Yield what to make, in order."""
    most = maxima(SETTINGS)
    default = _seed(
        "keypair-policy default",
        keypair_policy.decide(keypair_policy.INITIAL, KEYPAIR_POLICY, most),
    )
    yield default._replace(claims=(default_claim(KEYPAIR_POLICY.name),))
    yield _seed("user-policy default", user_policy.decide(user_policy.INITIAL, USER_POLICY, most))
    yield _seed(
        "project-policy default",
        project_policy.decide(project_policy.INITIAL, PROJECT_POLICY, most),
    )
    for name, cores, memory_gib, shared_mib in PRESETS:
        wish = DefinePreset(
            name=name,
            resource_slots={"cpu": cores * CPU, "mem": memory_gib * GIB},
            shared_memory=shared_mib * 2**20,
        )
        new = NewPreset(preset_id=new_id())
        made = _seed(f"preset {name}", preset.decide(preset.INITIAL, wish, new))
        yield made._replace(claims=(preset_claim(wish.resource_group, name, new.preset_id),))


def _seed(mark: str, outcome: tuple[PoliciesEvent, ...] | Rejection) -> Seed:
    if isinstance(outcome, Rejection):
        raise ValueError(f"the built-in {mark} breaks a rule: {outcome.message}")  # noqa: TRY004  # no type is wrong
    (event,) = outcome
    return Seed(mark, Write(f"{event.AGGREGATE}-{event.key()}", 0, outcome))


async def sow(log: EventLog) -> int:
    """Make what has not been made before; return how many things were made."""
    made = 0
    for seed in seeds():
        if await log.owner_of(SEEDED, seed.mark) is not None:
            continue
        meta = Meta(actor=Actor(kind="service", id="policies"), correlation_id=new_id())
        mark = Claim(SEEDED, seed.mark, meta.correlation_id)
        try:
            await log.append([seed.write], meta, claims=[mark, *seed.claims])
        except (ClaimTaken, StreamConflict):
            # Another process was faster; what else stands in the way must not be hidden.
            if await log.owner_of(SEEDED, seed.mark) is None:
                raise
            continue
        made += 1
        logger.info("seeded", what=seed.mark)
    await claim_default(log)
    return made


async def claim_default(log: EventLog) -> None:
    """Let the default keypair policy hold the claim of it, in logs older than the claim."""
    if await log.owner_of(*default_claim("")[:2]) is not None:
        return
    default: str | None = None
    async for recorded in log.fold_all():
        event = recorded.event
        if (
            isinstance(event, KeypairPolicyCreated | KeypairPolicyChanged)
            and event.is_default is True
        ):
            default = event.name
    if default is not None:
        meta = Meta(actor=Actor(kind="service", id="policies"), correlation_id=new_id())
        with suppress(ClaimTaken):  # another process was faster
            await log.append([], meta, claims=[default_claim(default)])
