"""People of every role, as the tests of tenants and users need them."""

from shared.kernel.ids import new_id
from tests.gateway.integration.harness import PASSWORD


def unique(prefix="n"):
    return f"{prefix}{new_id()[-12:]}"


async def made(admin, **more):
    """Create a user and return the creation answer."""
    name = unique("u")
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD, **more}
    answer = await admin.post("/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def signing(stack, admin, **more):
    """Create a user; return the document and a client that signs as that user."""
    user = await made(admin, **more)
    return user, stack.signed(user["main_access_key"], user["secret_key"])


async def domain(admin, **more):
    """Create a domain and return it."""
    answer = await admin.post("/v1/domains", json={"name": unique("d"), **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def project(admin, domain_name="default", **more):
    """Create a project and return it."""
    body = {"name": unique("p"), "domain": domain_name, "type": "general", **more}
    answer = await admin.post("/v1/projects", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer, status, code=None):
    """Check a refusal and return the fields that it names with their codes."""
    assert answer.status_code == status, answer.text
    if code is not None:
        assert answer.json()["code"] == code, answer.text
    return {error["field"]: error["code"] for error in answer.json().get("errors", ())}
