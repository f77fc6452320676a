"""`qm settings`: how the whole cluster behaves."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "show": (f"{COMMANDS}.settings_commands:show", "Show the settings and what they may be."),
        "set": (f"{COMMANDS}.settings_commands:change", "Change settings, all of them or none."),
        "reset": (f"{COMMANDS}.settings_commands:reset", "Give settings their defaults again."),
        "timeline": (f"{COMMANDS}.settings_commands:timeline", "Show who has changed what."),
    },
)
def settings() -> None:
    """See and change the settings of the cluster, such as scheduler.retries_to_skip."""
