"""Changing and resetting the system settings."""

from services.policies.writing import SETTINGS, SETTINGS_STREAM, Writing
from shared.contracts.policies import ChangeSettings, ResetSettings
from shared.eventlog.records import Write
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome


class SystemSettings:
    """Handles the commands about settings."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    async def change(
        self, command: ChangeSettings | ResetSettings, context: CommandContext
    ) -> Outcome:
        """Change or reset all that is named, or nothing."""

        async def work() -> Outcome:
            version, state = await self._writing.settings()
            decided = SETTINGS.decide(state, command, None)
            if isinstance(decided, Rejection):
                return decided
            return await self._writing.append(context, [Write(SETTINGS_STREAM, version, decided)])

        return await self._writing.once(context, work)
