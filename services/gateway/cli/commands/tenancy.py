"""What the commands of domains and projects have alike: options, and how limits are shown."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from services.gateway.cli.output import size
from services.gateway.cli.parsing import UNLIMITED, host_permissions, slot_limits

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def limit_options(function: Decorated) -> Decorated:
    """Let a command take a description, limits of resources, and what folders may be used for."""
    description = click.option("--description")
    slots = click.option(
        "--slot",
        "total_resource_slots",
        multiple=True,
        callback=slot_limits,
        metavar="SLOT=AMOUNT",
        help=f"Limit of a resource in all, such as mem=64g; '{UNLIMITED}' takes it away.",
    )
    hosts = click.option(
        "--host",
        "allowed_hosts",
        multiple=True,
        callback=host_permissions,
        metavar="HOST=PERMISSION,…",
        help="What folders on a storage host may be used for; nothing after = takes it away.",
    )
    return description(slots(hosts(function)))


active_option = click.option(
    "--active/--inactive",
    "is_active",
    default=None,
    help="In an inactive one nothing new begins.",
)
only_active_option = click.option(
    "--active/--inactive", "is_active", default=None, help="Only the active, or inactive ones."
)


def flag(*, wanted: bool | None) -> str | None:
    """Return a flag as a filter of a list; None filters nothing."""
    return None if wanted is None else str(wanted).lower()


def limit_fields(found: dict[str, Any]) -> list[tuple[str, object]]:
    """Return limits and storage hosts as fields to print."""
    hosts = found["allowed_hosts"].items()
    return [
        ("limits", limits(found["total_resource_slots"])),
        ("storage hosts", "; ".join(f"{host}: {', '.join(names)}" for host, names in hosts)),
    ]


def limits(amounts: dict[str, str | None]) -> str:
    """Render limits in one line; what is not named is unlimited."""
    named = {slot: amount for slot, amount in amounts.items() if amount is not None}
    shown = [
        f"{slot} {size(int(amount)) if slot == 'mem' else amount}" for slot, amount in named.items()
    ]
    return ", ".join(shown) or UNLIMITED
