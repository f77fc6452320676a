"""`qm session`: what runs, what waits, and what has run."""

import click

from services.gateway.cli.lazy import LazyGroup

COMMANDS = "services.gateway.cli.commands"


@click.group(
    cls=LazyGroup,
    lazy={
        "run": (f"{COMMANDS}.session_run:run", "Submit a session, and follow it if you like."),
        "list": (f"{COMMANDS}.session_list:list_sessions", "List sessions."),
        "show": (f"{COMMANDS}.session_show:show", "Show one session in full."),
        "logs": (f"{COMMANDS}.session_logs:logs", "Print what a session writes."),
        "restart": (f"{COMMANDS}.session_restart:restart", "Restart running sessions in place."),
        "stats": (f"{COMMANDS}.session_stats:stats", "Show what a session uses now."),
        "statistics": (
            f"{COMMANDS}.session_statistics:statistics",
            "Count sessions, and what they waited and used.",
        ),
        "timeline": (f"{COMMANDS}.session_timeline:timeline", "Show what has happened to one."),
        "terminate": (f"{COMMANDS}.session_terminate:terminate", "End sessions."),
    },
)
def session() -> None:
    """Run, list, show and terminate sessions."""
