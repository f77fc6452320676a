"""Which processes an installation has and who they are towards NATS."""

from typing import Final

GATEWAY: Final = "gateway"
INNER_SERVICES: Final = ("users", "policies", "scheduler", "agents", "storage", "modelstore")
SERVICES: Final = (*INNER_SERVICES, GATEWAY)
NODE: Final = "node"
DATABASE: Final = "qm"
ADMINISTRATOR: Final = "administrator"
NATS_USERS: Final = (*SERVICES, NODE, ADMINISTRATOR)


def module_of(name: str) -> str:
    """Return the module that runs the process `name`."""
    return "services.agents.node" if name == NODE else f"services.{name}"
