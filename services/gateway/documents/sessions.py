"""Sessions and resource groups."""

from datetime import datetime
from typing import Literal

import msgspec

from services.gateway.documents.adjustments import AdjustmentDocument
from shared.contracts.kernels import EndReason, SessionType
from shared.contracts.scheduler import ClusterMode, SessionCheck, SessionResult, SessionStatus

KernelStatus = Literal[
    "PENDING",
    "SCHEDULED",
    "PREPARING",
    "RUNNING",
    "RESTARTING",
    "TERMINATING",
    "TERMINATED",
    "CANCELLED",
    "ERROR",
]


class KernelDocument(msgspec.Struct, kw_only=True):
    """One process group or container of a session; `devices` is device id to amount, by slot.

    After a restart it is the one that runs now, under an id of its own.
    """

    id: str
    hostname: str
    status: KernelStatus = "PENDING"
    agent_id: str | None = None
    attempt: int = 0
    requested: dict[str, str]
    devices: dict[str, dict[str, str]] = {}
    exit_code: int | None = None
    reason: EndReason | None = None
    detail: str = ""
    started_at: datetime | None = None
    terminated_at: datetime | None = None


class SessionTimes(msgspec.Struct, kw_only=True):
    """When the session reached the steps of its life; a restart is not another start."""

    created_at: datetime
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    terminated_at: datetime | None = None


class SessionDocument(msgspec.Struct, kw_only=True):
    """One session. `resources` is what each kernel asks for, `requested` what all do together.

    `shared_memory`, in bytes, is a part of each kernel's memory; null leaves it to the node.
    `adjustments` tell what was raised to the minimum of the image.
    `position`, `reason`, `retries` and `estimated_start` (`low`, `likely` and `high`, or null where
    that can't be told) tell of its place in the queue, and
    `expires_at` when the lifetime of its keypair's policy is over; they are added when it is
    rendered.
    """

    id: str
    name: str
    type: SessionType
    status: SessionStatus
    status_info: EndReason | None = None
    status_detail: str = ""
    status_history: dict[str, datetime] = {}
    user_id: str
    access_key: str | None
    domain: str
    project: str
    resource_group: str
    image: str
    architecture: str
    command: list[str] | None
    priority: int
    cluster_size: int
    cluster_mode: ClusterMode
    resources: dict[str, str]
    requested: dict[str, str]
    adjustments: list[AdjustmentDocument] = []
    shared_memory: int | None = None
    designated_agents: list[str] = []
    starts_at: datetime | None = None
    depends_on: list[str] = []
    agents: list[str] = []
    kernels: list[KernelDocument] = []
    exit_code: int | None = None
    result: SessionResult = "undefined"
    attempt: int = 0
    times: SessionTimes
    created_at: datetime
    modified_at: datetime


class SessionDetail(SessionDocument, kw_only=True):
    """One session by itself. `idle_checks` is what may end it: null when nobody can tell now.

    A check ends it at `ends_at` if nothing changes; null: as things are it does not.
    """

    idle_checks: list[SessionCheck] | None
