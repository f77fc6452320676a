"""`qm keypair`: the credentials of programs."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{COMMANDS}.keypair_list:list_keypairs", "List keypairs."),
        "show": (f"{COMMANDS}.keypair_list:show", "Show one keypair in full, but for its secret."),
        "create": (f"{COMMANDS}.keypair_secret:create", "Issue one more keypair."),
        "update": (f"{COMMANDS}.keypair_change:update", "Change policy or rate limit."),
        "activate": (f"{COMMANDS}.keypair_change:activate", "Let keypairs sign again."),
        "deactivate": (f"{COMMANDS}.keypair_change:deactivate", "Refuse what keypairs sign."),
        "make-main": (f"{COMMANDS}.keypair_change:make_main", "Make it its user's main one."),
        "reveal": (f"{COMMANDS}.keypair_secret:reveal", "Print a secret; that is on record."),
        "delete": (f"{COMMANDS}.keypair_change:delete", "Delete inactive keypairs for ever."),
        "timeline": (f"{COMMANDS}.keypair_list:timeline", "Show what has happened to a keypair."),
    },
)
def keypair() -> None:
    """See, issue and change the credentials with which programs sign requests.

    A KEYPAIR is given by its access key.
    """
