"""`qm user`: the people who may use the cluster."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "list": (f"{COMMANDS}.user_list:list_users", "List users."),
        "show": (f"{COMMANDS}.user_show:show", "Show one user in full."),
        "create": (f"{COMMANDS}.user_create:create", "Create a user with a first keypair."),
        "update": (f"{COMMANDS}.user_update:update", "Change a user, or yourself."),
        "activate": (f"{COMMANDS}.user_status:activate", "Let users in."),
        "deactivate": (f"{COMMANDS}.user_status:deactivate", "Keep users out, at once."),
        "bulk": (f"{COMMANDS}.user_bulk:bulk", "Create many users from a file."),
        "limits": (f"{COMMANDS}.user_limits:limits", "Show what a user may use, and what is left."),
        "sessions": (f"{COMMANDS}.user_sessions:sessions", "List where a user is logged in."),
        "revoke": (f"{COMMANDS}.user_sessions:revoke", "End log-in sessions of a user."),
        "erase": (f"{COMMANDS}.user_erase:erase", "Erase a person for ever."),
        "timeline": (f"{COMMANDS}.user_show:timeline", "Show what has happened to a user."),
    },
)
def user() -> None:
    """See, create and change the people who may use the cluster.

    A USER is given by e-mail, user name or id; `me` is yourself.
    """
