"""`qm policy`: the limits of keypairs, users and projects."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        kind: (f"{COMMANDS}.policy_commands:{kind}", f"Limits of {kind}s.")
        for kind in ("keypair", "user", "project")
    },
)
def policy() -> None:
    """See, create, change and delete resource policies: limits under a name."""
