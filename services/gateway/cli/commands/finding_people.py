"""Finding users, keypairs, projects and domains by what people type."""

from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from services.gateway.cli.api import Api
from services.gateway.cli.settings import CliError

ME: Final = "me"
SEARCHED_MAX: Final = 5_000


def find_user(api: Api, key: str, at: str | None = None) -> dict[str, Any]:
    """Return the user with this id, e-mail or user name; `me` is who asks.

    Raises CliError when there is none. `at` asks for the user as of then.
    """
    if key == ME:
        mine = api.get("/v1/users/me")
        return mine if at is None else api.get(f"/v1/users/{mine['id']}", at=at)
    if is_id(key):
        return api.get(f"/v1/users/{key}", at=at)
    field = "email" if "@" in key else "username"
    same = _called(api, "/v1/users", field, key, at=at)
    if not same:
        raise CliError(f"there is no user '{key}'")
    return same[0]


def find_user_id(api: Api, key: str) -> str:
    """Return the id of a user as `find_user` finds it; an id is taken as it is."""
    return key if is_id(key) else str(find_user(api, key)["id"])


def find_keypair(api: Api, access_key: str, at: str | None = None) -> dict[str, Any]:
    """Return the keypair with this access key; raises CliError."""
    return api.get(keypair_path(access_key), at=at)


def keypair_path(access_key: str) -> str:
    """Return where a keypair is."""
    return f"/v1/keypairs/{quote(access_key, safe='')}"


def find_project(api: Api, key: str) -> dict[str, Any]:
    """Return the project with this id, or of this name, or of this DOMAIN/NAME.

    Raises CliError when there is none, or several domains have one of the name.
    """
    if is_id(key):
        return api.get(f"/v1/projects/{key}")
    domain, slash, name = key.rpartition("/")
    same = _called(api, "/v1/projects", "name", name, domain=domain if slash else None)
    if len(same) > 1:
        shown = ", ".join(f"{item['domain']}/{item['name']} ({item['type']})" for item in same)
        raise CliError(f"several projects are named '{name}': {shown}; give DOMAIN/NAME or the id")
    if not same:
        raise CliError(f"there is no project '{key}'")
    return same[0]


def project_ids(api: Api, keys: tuple[str, ...], domain: str) -> list[str]:
    """Return the ids of projects that are given by id or by name within a domain."""
    return [
        key if is_id(key) else find_project(api, key if "/" in key else f"{domain}/{key}")["id"]
        for key in keys
    ]


def domain_path(name: str) -> str:
    """Return where a domain is."""
    return f"/v1/domains/{quote(name, safe='')}"


def is_id(key: str) -> bool:
    """Tell whether this is an id, not a name."""
    try:
        return str(UUID(key)) == key.lower()
    except ValueError:
        return False


def _called(api: Api, path: str, field: str, name: str, **query: Any) -> list[dict[str, Any]]:
    """Return what has exactly this name, upper and lower case alike; the API finds parts of it."""
    found = api.listed(path, SEARCHED_MAX, **{field: name}, **query)
    same = [item for item in found["items"] if (item[field] or "").casefold() == name.casefold()]
    if not same and found["total"] > SEARCHED_MAX:
        raise CliError(f"too much is named like '{name}'; give the id")
    return same
