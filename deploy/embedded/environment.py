"""What each process is told through its environment."""

import socket

from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout


def agent_id_of(layout: Layout) -> str:
    """Return the embedded node's identity: the host's name at the first start, kept."""
    if not layout.agent_id.exists():
        write_private(layout.agent_id, socket.gethostname() or "local")
    return layout.agent_id.read_text().strip()


def service_environment(
    layout: Layout, name: str, *, database_url: str, nats_url: str, host: str, http_port: int
) -> dict[str, str]:
    """Return the settings of a service."""
    environment = {
        "QM_DATABASE_URL": database_url,
        "QM_NATS_URL": nats_url,
        "QM_HTTP_HOST": host,
        "QM_HTTP_PORT": str(http_port),
        "QM_MASTER_KEY_FILE": str(layout.master_key),
    }
    if name == "users":
        environment["QM_BOOTSTRAP_FILE"] = str(layout.credentials)
    return environment


def node_environment(layout: Layout, *, nats_url: str, http_port: int) -> dict[str, str]:
    """Return the settings of the embedded node; it knows no database and no master key."""
    return {
        "QM_NATS_URL": nats_url,
        "QM_HTTP_HOST": "127.0.0.1",
        "QM_HTTP_PORT": str(http_port),
        "QM_AGENT_ID": agent_id_of(layout),
        "QM_AGENT_DATA": str(layout.node),
        "QM_RESOURCE_GROUP": "default",
        "QM_NODE_KEY_FILE": str(layout.node_key),
    }
