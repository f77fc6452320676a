"""System settings: what there is, what each may be, and the events and commands about them.

A setting that nobody has changed has its default and leaves no trace in the log, so a release may
bring other defaults. Keys are as in the API, nested parts joined by a dot.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal, NamedTuple, TypeAlias

from shared.contracts.base import Command, Event

SettingValue: TypeAlias = bool | int | str | None
SettingType = Literal["boolean", "integer", "text", "choice"]
SettingScope = Literal["cluster", "resource-group"]
SETTINGS_ID: Final = "cluster"
RETRIES_MAX: Final = 1000
IDLE_MAX_S: Final = 15_552_000


class Setting(NamedTuple):
    """What a setting may be. `scope` resource-group: a group's own value goes first."""

    type: SettingType
    default: SettingValue
    description: str
    least: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    nullable: bool = False
    scope: SettingScope = "cluster"


def _maximum(default: int, what: str) -> Setting:
    text = f"The largest {what} that a policy may give, other than unlimited. Null: no such limit."
    return Setting("integer", default, text, least=0, nullable=True)


def _percentage(what: str) -> Setting:
    text = (
        f"Below which mean use of {what}, in percent of what a session was given, it counts as "
        "idle. Null: it is not looked at."
    )
    return Setting("integer", None, text, least=0, most=100, nullable=True)


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {
        "image_auto_pull": Setting(
            "choice",
            "digest",
            "When an agent fetches the image of a session: if its digest differs (digest), if the "
            "tag is missing (tag), or never (none). Acts when a session is prepared.",
            choices=("digest", "tag", "none"),
        ),
        "scheduler.type": Setting(
            "choice",
            "fifo",
            "The scheduler of resource groups that are created without one.",
            choices=("fifo", "lifo", "drf"),
            scope="resource-group",
        ),
        "scheduler.retries_to_skip": Setting(
            "integer",
            3,
            "How often the first session in line may be tried in vain before others pass it; 0: "
            "it is never passed. Only with FIFO. Acts at the next scheduling pass.",
            least=0,
            most=RETRIES_MAX,
            scope="resource-group",
        ),
        "overlay_mtu": Setting(
            "integer",
            1500,
            "MTU in bytes of the networks of multi-node sessions; null leaves it to the driver. "
            "Acts when a network is created.",
            least=68,
            most=65_535,
            nullable=True,
        ),
        "project_folders_allowed": Setting(
            "boolean",
            default=True,
            description="Whether folders that belong to a project may be created.",
        ),
        "max_containers_per_agent": Setting(
            "integer",
            None,
            "How many containers or process groups one agent may run at once. Null: no such "
            "limit. Acts at the next scheduling pass.",
            least=1,
            nullable=True,
        ),
        "group_resource_visibility": Setting(
            "boolean",
            default=True,
            description="Whether users see what is used and left in their projects and domain.",
        ),
        "announcement": Setting(
            "text", "", "What everybody should know; everybody may read it.", most=10_000
        ),
        "idle.network_timeout_enabled": Setting(
            "boolean",
            default=False,
            description="Whether interactive sessions end that nobody has used for some time.",
        ),
        "idle.network_timeout": Setting(
            "integer",
            600,
            "For how many seconds nobody may use an interactive session before it is ended; 0: for "
            "ever. The idle time-out of a keypair's policy goes first. Acts at once.",
            least=0,
            most=IDLE_MAX_S,
        ),
        "idle.utilization_enabled": Setting(
            "boolean",
            default=False,
            description="Whether interactive and batch sessions end that make too little use of "
            "what they were given. Needs at least one of the thresholds.",
        ),
        "idle.utilization_window": Setting(
            "integer",
            43_200,
            "Over how many seconds the use is averaged; nothing is judged before so much is known. "
            "0: never. The idle time-out of a keypair's policy goes first. Acts at once.",
            least=0,
            most=IDLE_MAX_S,
        ),
        "idle.utilization_grace": Setting(
            "integer",
            300,
            "How many seconds after a session's start do not count, because it prepares itself.",
            least=0,
            most=IDLE_MAX_S,
        ),
        "idle.utilization_operator": Setting(
            "choice",
            "and",
            "Whether everything that is looked at must be below its threshold (and), or anything "
            "(or). What was not given, or can't be measured, is left out.",
            choices=("and", "or"),
        ),
        "idle.utilization_cpu": _percentage("the CPU"),
        "idle.utilization_mem": _percentage("memory"),
        "idle.utilization_gpu": _percentage("accelerators"),
        "idle.utilization_gpu_mem": _percentage("the accelerators' memory"),
        "policy_maxima.cpu": _maximum(512, "number of CPU cores"),
        "policy_maxima.mem": _maximum(1024 * 2**30, "memory in bytes"),
        "policy_maxima.cuda.device": _maximum(64, "number of GPUs"),
        "policy_maxima.cuda.shares": _maximum(256, "number of fractional GPUs"),
        "policy_maxima.max_concurrent_sessions": _maximum(100, "number of concurrent sessions"),
        "policy_maxima.idle_timeout": _maximum(IDLE_MAX_S, "idle time-out in seconds"),
        "policy_maxima.max_folder_count": _maximum(100, "number of folders"),
    }
)


class SettingChanged(Event, frozen=True, tag="SettingChanged"):
    """A setting has another value."""

    AGGREGATE: ClassVar[str] = "settings"
    setting: str
    value: SettingValue

    def key(self) -> str:
        """Return the id of the cluster's settings."""
        return SETTINGS_ID


class SettingReset(Event, frozen=True, tag="SettingReset"):
    """A setting has its default again, whatever that is."""

    AGGREGATE: ClassVar[str] = "settings"
    setting: str

    def key(self) -> str:
        """Return the id of the cluster's settings."""
        return SETTINGS_ID


class ChangeSettings(Command, frozen=True, tag="ChangeSettings"):
    """Give settings other values, all of them or none.

    Refused (422) with the field: `unknown_setting`, `wrong_type`, `out_of_range`, `not_a_choice`,
    `only_fifo` (retries other than 0 while the scheduler is not FIFO).
    """

    SERVICE: ClassVar = "policies"
    values: dict[str, SettingValue]


class ResetSettings(Command, frozen=True, tag="ResetSettings"):
    """Give settings their defaults again; none named: all of them."""

    SERVICE: ClassVar = "policies"
    settings: tuple[str, ...] = ()


SettingsEvent: TypeAlias = SettingChanged | SettingReset
SettingsCommand: TypeAlias = ChangeSettings | ResetSettings
