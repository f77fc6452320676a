"""`qm domain`: the outermost tenants."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{COMMANDS}.domain_commands:list_domains", "List domains."),
        "show": (f"{COMMANDS}.domain_commands:show", "Show one domain in full."),
        "create": (f"{COMMANDS}.domain_commands:create", "Create a domain."),
        "update": (f"{COMMANDS}.domain_commands:update", "Change a domain."),
        "timeline": (f"{COMMANDS}.domain_commands:timeline", "Show what has happened to a domain."),
    },
)
def domain() -> None:
    """See, create and change domains: the outermost tenants."""
