"""`qm preset`: named requests for resources."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{COMMANDS}.preset_commands:list_presets", "List presets."),
        "show": (f"{COMMANDS}.preset_commands:show", "Show one preset."),
        "create": (f"{COMMANDS}.preset_commands:create", "Create a preset."),
        "update": (f"{COMMANDS}.preset_commands:update", "Change what a preset asks for."),
        "delete": (f"{COMMANDS}.preset_commands:delete", "Delete presets."),
        "available": (f"{COMMANDS}.preset_available:available", "Show which could start now."),
        "timeline": (f"{COMMANDS}.preset_commands:timeline", "Show what has happened to a preset."),
    },
)
def preset() -> None:
    """See, create, change and delete presets: named requests for resources.

    A PRESET is given by its name or id; where several groups have one of the name, say which.
    """
