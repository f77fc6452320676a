"""`qm project`: what people work on together."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{COMMANDS}.project_commands:list_projects", "List projects."),
        "show": (f"{COMMANDS}.project_commands:show", "Show one project in full."),
        "create": (f"{COMMANDS}.project_commands:create", "Create a project."),
        "update": (f"{COMMANDS}.project_commands:update", "Change a project."),
        "members": (f"{COMMANDS}.project_members:members", "List, add and remove members."),
        "timeline": (
            f"{COMMANDS}.project_commands:timeline",
            "Show what has happened to a project.",
        ),
    },
)
def project() -> None:
    """See, create and change projects, and who belongs to them.

    A PROJECT is given by name, by DOMAIN/NAME, or by id.
    """
