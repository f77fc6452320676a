"""What the scheduler needs to know beside what every service does."""

from typing import Annotated

import msgspec

from shared.runtime.settings import Settings


class SchedulerSettings(Settings, frozen=True, kw_only=True):
    """`scheduler_retry_s` is how long a blocked head of a queue waits between two tries."""

    scheduler_retry_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
