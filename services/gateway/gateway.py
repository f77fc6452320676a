"""Everything that a request handler may need, in one place; made once by `app`."""

from typing import Any, NamedTuple

from services.gateway.auth.directory import Directory
from services.gateway.auth.rate_limits import RateLimits
from services.gateway.auth.secrets import KeypairSecrets
from services.gateway.exports.reading import Exports
from services.gateway.history.reading import History
from services.gateway.http.idempotency import IdempotentAnswers
from services.gateway.idle_checks import IdleChecks
from services.gateway.live import LiveHub
from services.gateway.logs import KernelLogs
from services.gateway.offloop import OffLoop
from services.gateway.preferences import Preferences
from services.gateway.reads.models import ReadModels
from services.gateway.reads.session_statistics import Statistics
from services.gateway.replays import Replays
from services.gateway.system import System
from services.gateway.tasks import Tasks
from services.gateway.telemetry.activity import SessionUse
from services.gateway.telemetry.loads import AgentLoads
from services.gateway.telemetry.queue_order import QueueOrder
from services.gateway.telemetry.queues import Queues
from services.gateway.telemetry.usages import SessionUsages
from services.gateway.writes import Writes
from shared.kernel.clock import Clock
from shared.security.sealing import Keyring


class Gateway(NamedTuple):
    """The parts of the gateway, for handlers of the API and of the pages."""

    reads: ReadModels
    history: History
    writes: Writes
    answers: IdempotentAnswers
    tasks: Tasks
    directory: Directory
    secrets: KeypairSecrets
    limits: RateLimits
    loads: AgentLoads
    queues: Queues
    usages: SessionUsages
    queue_order: QueueOrder
    live: LiveHub
    logs: KernelLogs
    replays: Replays
    idle_checks: IdleChecks
    session_use: SessionUse
    system: System
    exports: Exports
    statistics: Statistics
    preferences: Preferences
    offloop: OffLoop
    keyring: Keyring
    clock: Clock
    is_https: bool

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Gateway":
        """Return itself: Litestar copies what is registered, but connections exist once."""
        return self
