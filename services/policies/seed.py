"""What every installation begins with: a default policy of each kind, and three presets.

Each is one transaction under its name, so a crash half-way or two processes at once still make
each exactly once; what an administrator has changed or deleted since is left alone.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from services.policies.domain import keypair_policy, preset, project_policy, user_policy
from shared.contracts.base import Actor, Meta
from shared.contracts.policies import (
    KeypairPolicyCreated,
    PoliciesEvent,
    PresetDefined,
    ProjectPolicyCreated,
    UserPolicyCreated,
)
from shared.eventlog.log import EventLog
from shared.eventlog.outcomes import ClaimTaken, StreamConflict
from shared.eventlog.records import Claim, Write
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.observability.logging import get_logger

SEEDED: Final = "seeded"
PRESET_NAME: Final = "preset-name"
GIB: Final = 2**30
CPU: Final = 1000
HOUR_S: Final = 3600

KEYPAIR_POLICY: Final = KeypairPolicyCreated(
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
USER_POLICY: Final = UserPolicyCreated(
    name="default",
    max_folder_count=None,
    max_quota_scope_size=None,
    max_session_count_per_model_session=10,
    max_customized_image_count=3,
)
PROJECT_POLICY: Final = ProjectPolicyCreated(
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
    yield _seed(
        "keypair-policy default", keypair_policy.decide(keypair_policy.INITIAL, KEYPAIR_POLICY)
    )
    yield _seed("user-policy default", user_policy.decide(user_policy.INITIAL, USER_POLICY))
    yield _seed(
        "project-policy default", project_policy.decide(project_policy.INITIAL, PROJECT_POLICY)
    )
    for name, cores, memory_gib, shared_mib in PRESETS:
        wish = PresetDefined(
            preset_id=new_id(),
            name=name,
            resource_slots={"cpu": cores * CPU, "mem": memory_gib * GIB},
            shared_memory=shared_mib * 2**20,
        )
        made = _seed(f"preset {name}", preset.decide(preset.INITIAL, wish))
        # presets for every group and those of one group have names of their own
        yield made._replace(claims=(Claim(PRESET_NAME, f"/{name}", wish.preset_id),))


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
    return made
