"""Everything that the policies service answers."""

from services.policies.policies import Policies
from services.policies.presets import Presets
from services.policies.system_settings import SystemSettings
from shared.contracts.policies import (
    ChangeKeypairPolicy,
    ChangePreset,
    ChangeProjectPolicy,
    ChangeSettings,
    ChangeUserPolicy,
    CreateKeypairPolicy,
    CreateProjectPolicy,
    CreateUserPolicy,
    DefinePreset,
    DeletePreset,
    ResetSettings,
)
from shared.messaging.commands import CommandServer


def serve(
    commands: CommandServer, policies: Policies, presets: Presets, settings: SystemSettings
) -> None:
    """Register every handler but that of deletions, which needs the users service."""
    commands.handle(CreateKeypairPolicy, policies.keypair)
    commands.handle(ChangeKeypairPolicy, policies.keypair)
    commands.handle(CreateUserPolicy, policies.user)
    commands.handle(ChangeUserPolicy, policies.user)
    commands.handle(CreateProjectPolicy, policies.project)
    commands.handle(ChangeProjectPolicy, policies.project)
    commands.handle(DefinePreset, presets.define)
    commands.handle(ChangePreset, presets.change)
    commands.handle(DeletePreset, presets.change)
    commands.handle(ChangeSettings, settings.change)
    commands.handle(ResetSettings, settings.change)
