"""`qm group`: agents under a name, with a scheduler of their own."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{COMMANDS}.group_commands:list_groups", "List resource groups."),
        "show": (f"{COMMANDS}.group_commands:show", "Show one resource group in full."),
        "queue": (f"{COMMANDS}.group_queue:queue", "List who waits in a group, and what for."),
        "create": (f"{COMMANDS}.group_change:create", "Create a resource group."),
        "update": (f"{COMMANDS}.group_change:update", "Change a resource group."),
        "delete": (f"{COMMANDS}.group_change:delete", "Delete a group that nothing refers to."),
        "references": (f"{COMMANDS}.group_commands:references", "Show what refers to a group."),
        "timeline": (f"{COMMANDS}.group_commands:timeline", "Show what has happened to a group."),
    },
)
def group() -> None:
    """See, create, change and delete resource groups: agents with a queue of their own."""
