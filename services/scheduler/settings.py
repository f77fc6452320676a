"""What the scheduler needs to know beside what every service does."""

from typing import Annotated, ClassVar

import msgspec

from services.scheduler.domain.deadlines import HANG_TIMEOUT_S
from services.scheduler.foreseeing import REST_S
from shared.runtime.settings import Settings


class SchedulerSettings(Settings, frozen=True, kw_only=True):
    """`scheduler_retry_s` is how long a blocked head of a queue waits between two tries.

    `scheduler_hang_timeout_s` is how long a session may need to come up once it has its place,
    `scheduler_foresight_rest_s` how long to rest, at the least, between two looks at when sessions
    will start.
    """

    ONE_LEADS: ClassVar[bool] = True

    scheduler_retry_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    scheduler_hang_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = HANG_TIMEOUT_S
    scheduler_foresight_rest_s: Annotated[float, msgspec.Meta(gt=0)] = REST_S
