"""Which limits each kind of policy has: as options, as what the API takes, and as people read."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import click

from services.gateway.cli.commands.tenancy import limits
from services.gateway.cli.output import size, yes_no
from services.gateway.cli.parsing import (
    UNLIMITED,
    amount_of_bytes,
    host_permissions,
    number,
    seconds,
    slot_limits,
)

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
SLOTS: Final = ("total_resource_slots", "max_pending_session_resource_slots")


class Limit(NamedTuple):
    """One limit: its field, and whether it counts, is a time or a size."""

    field: str
    unit: str = "number"

    @property
    def option(self) -> str:
        """Return what it is called on the command line."""
        return f"--{self.field.replace('_', '-')}"

    def shown(self, value: Any) -> object:
        """Render a value of it."""
        if value is None:
            return UNLIMITED
        return size(value) if self.unit == "bytes" else value


_PARSERS: Final = {"number": number, "seconds": seconds, "bytes": amount_of_bytes}
_METAVARS: Final = {"number": "NUMBER", "seconds": "TIME", "bytes": "SIZE"}
_HELP: Final = {
    "number": f"A number, or '{UNLIMITED}'.",
    "seconds": f"Seconds, or such as 30m, 12h, 7d; '{UNLIMITED}'.",
    "bytes": f"Bytes, or such as 100g; '{UNLIMITED}'.",
}
LIMITS: Final[Mapping[str, tuple[Limit, ...]]] = {
    "keypair": (
        Limit("max_concurrent_sessions"),
        Limit("max_containers_per_session"),
        Limit("max_pending_session_count"),
        Limit("max_concurrent_sftp_sessions"),
        Limit("max_priority"),
        Limit("max_session_lifetime", "seconds"),
        Limit("idle_timeout", "seconds"),
    ),
    "user": (
        Limit("max_folder_count"),
        Limit("max_quota_scope_size", "bytes"),
        Limit("max_session_count_per_model_session"),
        Limit("max_customized_image_count"),
    ),
    "project": (
        Limit("max_folder_count"),
        Limit("max_quota_scope_size", "bytes"),
        Limit("max_network_count"),
    ),
}
_KEYPAIR_OPTIONS: Final = (
    click.option(
        "--slot",
        SLOTS[0],
        multiple=True,
        callback=slot_limits,
        metavar="SLOT=AMOUNT",
        help=f"All that its sessions may hold, such as mem=64g or cpu={UNLIMITED}.",
    ),
    click.option(
        "--pending-slot",
        SLOTS[1],
        multiple=True,
        callback=slot_limits,
        metavar="SLOT=AMOUNT",
        help="All that its waiting sessions may ask for.",
    ),
    click.option(
        "--unspecified",
        "default_for_unspecified",
        type=click.Choice(["limited", "unlimited"]),
        help="What holds for slots that are not named: none of them, or as much as there is.",
    ),
    click.option(
        "--lifetime-base",
        "lifetime_base",
        type=click.Choice(["created", "started"]),
        help="What a session's lifetime counts from; waiting counts from its creation.",
    ),
    click.option(
        "--host",
        "allowed_hosts",
        multiple=True,
        callback=host_permissions,
        metavar="HOST=PERMISSION,…",
        help="What folders on a storage host may be used for; nothing after = takes it away.",
    ),
    click.option(
        "--default",
        "is_default",
        flag_value=True,
        default=None,
        type=bool,
        help="Let new keypairs have it where nothing else is said.",
    ),
)


def limit_options(kind: str) -> Callable[[Decorated], Decorated]:
    """Let a command take the limits of one kind of policy."""

    def decorate(function: Decorated) -> Decorated:
        options = [
            click.option(
                limit.option,
                limit.field,
                callback=_PARSERS[limit.unit],
                metavar=_METAVARS[limit.unit],
                help=_HELP[limit.unit],
            )
            for limit in LIMITS[kind]
        ]
        for option in reversed((*(_KEYPAIR_OPTIONS if kind == "keypair" else ()), *options)):
            function = option(function)
        return function

    return decorate


def body_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given as the API takes it: null is unlimited."""
    is_word = {"default_for_unspecified", "name"}
    return {
        name: None if value == UNLIMITED and name not in is_word else value
        for name, value in given.items()
    }


def columns_of(kind: str) -> tuple[str, ...]:
    """Return the headings of a list."""
    first = ("default", "limits") if kind == "keypair" else ()
    return (*first, *(limit.field.replace("_", " ") for limit in LIMITS[kind]))


def cells_of(kind: str, found: Mapping[str, Any]) -> tuple[object, ...]:
    """Return a policy's row in a list, without its name."""
    first = (yes_no(found["is_default"]), limits(found[SLOTS[0]])) if kind == "keypair" else ()
    return (*first, *(limit.shown(found[limit.field]) for limit in LIMITS[kind]))


def fields_of(kind: str, found: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Return a policy's limits as fields to print."""
    fields: list[tuple[str, object]] = []
    if kind == "keypair":
        hosts = found["allowed_hosts"].items()
        fields = [
            ("default", yes_no(found["is_default"])),
            ("resources", limits(found[SLOTS[0]])),
            ("resources not named", found["default_for_unspecified"]),
            ("resources of those waiting", limits(found[SLOTS[1]])),
            ("lifetime counts from", found["lifetime_base"]),
            ("storage hosts", "; ".join(f"{host}: {', '.join(names)}" for host, names in hosts)),
        ]
    shown = [
        (limit.field.replace("_", " "), limit.shown(found[limit.field])) for limit in LIMITS[kind]
    ]
    return [*fields, *shown]
