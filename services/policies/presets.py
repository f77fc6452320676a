"""Defining, changing and deleting presets."""

from typing import Final

from services.policies.domain import preset
from services.policies.domain.preset import NewPreset
from services.policies.names import preset_claim
from services.policies.writing import Writing
from shared.contracts.policies import ChangePreset, DefinePreset, DeletePreset
from shared.eventlog.codec import stream_name
from shared.eventlog.decider import Decider
from shared.eventlog.outcomes import ClaimTaken
from shared.eventlog.records import Write
from shared.kernel.ids import new_id
from shared.kernel.rejections import Rejection
from shared.messaging.commands import CommandContext, Outcome

AGGREGATE: Final = "preset"
PRESET: Final = Decider(preset.INITIAL, preset.evolve, preset.decide)


class Presets:
    """Handles the commands about presets."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    async def define(self, command: DefinePreset, context: CommandContext) -> Outcome:
        """Define a preset under a name that is free in its group."""
        preset_id = new_id()

        async def work() -> Outcome:
            decided = PRESET.decide(PRESET.initial, command, NewPreset(preset_id))
            if isinstance(decided, Rejection):
                return decided
            try:
                return await self._writing.append(
                    context,
                    [Write(stream_name(AGGREGATE, preset_id), 0, decided)],
                    claims=[preset_claim(command.resource_group, command.name, preset_id)],
                    result={"preset_id": preset_id},
                )
            except ClaimTaken:
                return preset.taken(command.name, command.resource_group)

        return await self._writing.once(context, work)

    async def change(
        self, command: ChangePreset | DeletePreset, context: CommandContext
    ) -> Outcome:
        """Change what is given of a preset, or delete it and with it its claim on the name."""

        async def work() -> Outcome:
            stream = stream_name(AGGREGATE, command.preset_id)
            loaded = await self._writing.load(stream)
            state = PRESET.fold(loaded.events)
            decided = PRESET.decide(state, command, None)
            if isinstance(decided, Rejection):
                return decided
            releases = []
            if isinstance(command, DeletePreset) and (was := state.values) is not None:
                releases = [preset_claim(was.resource_group, was.name, was.preset_id)]
            writes = [Write(stream, loaded.version, decided)]
            return await self._writing.append(context, writes, releases=releases)

        return await self._writing.once(context, work)
