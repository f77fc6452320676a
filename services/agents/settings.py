"""What the agents service needs to know beside what every service does."""

from typing import Annotated

import msgspec

from shared.runtime.settings import Settings


class AgentsSettings(Settings, frozen=True, kw_only=True):
    """`agent_timeout_s` is how long an agent may be silent before it is taken to be lost."""

    agent_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 40.0
