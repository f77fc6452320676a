"""The names under which use and limits are booked, such as `project:<id>`."""

from shared.contracts.scheduler import SessionEnqueued


def keypair_scope(access_key: str) -> str:
    """Return the scope of a keypair."""
    return f"keypair:{access_key}"


def project_scope(project_id: str) -> str:
    """Return the scope of a project."""
    return f"project:{project_id}"


def domain_scope(name: str) -> str:
    """Return the scope of a domain."""
    return f"domain:{name}"


def scopes_of(event: SessionEnqueued) -> tuple[str, ...]:
    """Return the scopes whose limits hold for a session."""
    tenants = (project_scope(event.project_id), domain_scope(event.domain))
    return tenants if event.access_key is None else (keypair_scope(event.access_key), *tenants)
