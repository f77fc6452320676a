"""Who may do what: one row a route, as the manual and `semantics` 0.2 promise it.

Written by hand, beside the rules and not from them, so that a slip in the rules shows. A row reads,
in this order: superadmin, monitor, administrator of the object's domain, the object's owner,
another user of the domain, administrator and user of another domain. `a` is allowed, `f` forbidden
(403), `h` hidden (404), `r` refused in whatever way that tells nothing about the object.
"""

from typing import Any, Final, NamedTuple

VIEWERS: Final = (
    "superadmin",
    "monitor",
    "domain admin",
    "owner",
    "neighbour",
    "foreign admin",
    "foreign user",
)
PUBLIC: Final = frozenset({"POST /v1/auth/login", "GET /openapi.json", "GET /docs"})


class Row(NamedTuple):
    """What each viewer gets, a body that does no harm, and what to make anew for each call."""

    verdicts: str
    body: Any = None
    anew: str = ""
    query: str = ""


EVERYBODY: Final = Row("aaaaaaa")
SUPERADMIN: Final = Row("affffff")
WATCHERS: Final = Row("aafffff")
TENANT: Final = Row("aaaahhh")
HOLDER: Final = Row("affahhh")
OWN: Final = Row("hhhahhh")
NOBODY: Final = Row("hhhhhhh")

READS: Final = {
    "users": TENANT,
    "keypairs": TENANT,
    "sessions": TENANT,
    "projects": TENANT,
    "domains": Row("aaaaahh"),
    "keypair-policies": EVERYBODY,
    "user-policies": WATCHERS,
    "project-policies": WATCHERS,
    "presets": EVERYBODY,
    "resource-groups": EVERYBODY,
    "images": EVERYBODY,
    "agents": WATCHERS,
}
LISTS: Final = {
    f"GET /v1/{noun}": WATCHERS if row == WATCHERS else EVERYBODY for noun, row in READS.items()
}
SINGLES: Final = {
    f"GET /v1/{noun}/{{key}}{more}": row
    for noun, row in READS.items()
    for more in ("", "/timeline")
}
EXPORTS: Final = (
    "users",
    "keypairs",
    "sessions",
    *(f"{k}-policies" for k in ("keypair", "user", "project")),
)
POLICIES: Final = tuple(f"/v1/{kind}-policies" for kind in ("keypair", "user", "project"))
_CHOSEN: Final = "/v1/users/me/preferences"
_MEMBERS: Final = "/v1/projects/{key}/members"
TABLE: Final[dict[str, Row]] = {
    **LISTS,
    **SINGLES,
    **{f"GET /v1/exports/{noun}.csv": LISTS[f"GET /v1/{noun}"] for noun in EXPORTS},
    "GET /v1/exports/events.csv": WATCHERS,
    "GET /v1/events": WATCHERS,
    "POST /v1/auth/logout": EVERYBODY._replace(anew="logins"),
    "GET /v1/auth/me": EVERYBODY,
    "GET /v1/auth/sessions": EVERYBODY,
    "GET /v1/auth/sessions/{key}": OWN,
    "DELETE /v1/auth/sessions/{key}": OWN._replace(anew="login"),
    "POST /v1/domains": SUPERADMIN._replace(body={}),
    "PATCH /v1/domains/{key}": SUPERADMIN._replace(body={}),
    "POST /v1/projects": Row("afaffrf", {"domain": "{domain}", "name": "", "type": "general"}),
    "PATCH /v1/projects/{key}": Row("afaffhf", {}),
    f"GET {_MEMBERS}": TENANT,  # a plain member sees the own membership
    f"GET {_MEMBERS}/{{user_id}}": TENANT,
    f"PUT {_MEMBERS}/{{user_id}}": Row("afafhhh", {"role": "member"}),
    f"DELETE {_MEMBERS}/{{user_id}}": Row("afafhhh", anew="member"),
    "POST /v1/users": SUPERADMIN._replace(body={}),
    "POST /v1/users/bulk": SUPERADMIN._replace(body={}),
    "PATCH /v1/users/{key}": SUPERADMIN._replace(body={}),
    "POST /v1/users/{key}/activate": SUPERADMIN,
    "POST /v1/users/{key}/deactivate": SUPERADMIN._replace(anew="other user"),
    "POST /v1/users/{key}/erase": SUPERADMIN,
    "GET /v1/users/{key}/sessions": SUPERADMIN,
    "DELETE /v1/users/{key}/sessions/{login_id}": SUPERADMIN._replace(anew="login"),
    "GET /v1/users/{key}/limits": TENANT,
    "GET /v1/users/me/limits": EVERYBODY,
    "GET /v1/presets/available": EVERYBODY,
    "POST /v1/keypair-policies/{key}/impact": SUPERADMIN._replace(body={"patch": {}}),
    "POST /v1/user-policies/{key}/impact": SUPERADMIN._replace(body={"patch": {}}),
    "POST /v1/project-policies/{key}/impact": SUPERADMIN._replace(body={"patch": {}}),
    "POST /v1/keypairs": Row("affarrr", {"user_id": "{user}"}),
    "PATCH /v1/keypairs/{key}": SUPERADMIN._replace(body={}),
    "POST /v1/keypairs/{key}/activate": HOLDER,
    "POST /v1/keypairs/{key}/deactivate": HOLDER,
    "POST /v1/keypairs/{key}/make-main": HOLDER._replace(anew="active keypair"),
    "POST /v1/keypairs/{key}/reveal": HOLDER,
    "DELETE /v1/keypairs/{key}": HOLDER._replace(anew="inactive keypair"),
    "GET /v1/users/me": EVERYBODY,
    "GET /v1/users/me/timeline": EVERYBODY,
    "PATCH /v1/users/me": EVERYBODY._replace(body={}),
    "POST /v1/users/me/password": EVERYBODY._replace(body={}),
    "POST /v1/users/me/totp": EVERYBODY,
    "POST /v1/users/me/totp/confirm": EVERYBODY._replace(body={}),
    "DELETE /v1/users/me/totp": EVERYBODY._replace(body={}),
    f"GET {_CHOSEN}": EVERYBODY,
    f"GET {_CHOSEN}/{{key}}": EVERYBODY._replace(anew="preference"),
    f"PUT {_CHOSEN}/{{key}}": EVERYBODY._replace(body={"columns": []}),
    f"DELETE {_CHOSEN}/{{key}}": EVERYBODY._replace(anew="preference"),
    "POST /v1/resource-groups": SUPERADMIN._replace(body={}),
    "PATCH /v1/resource-groups/{key}": SUPERADMIN._replace(body={}),
    "DELETE /v1/resource-groups/{key}": SUPERADMIN,
    "GET /v1/resource-groups/{key}/references": WATCHERS,
    "GET /v1/resource-groups/{key}/timeline": WATCHERS,
    **{f"POST {path}": SUPERADMIN._replace(body={}) for path in POLICIES},
    **{f"PATCH {path}/{{key}}": SUPERADMIN._replace(body={}) for path in POLICIES},
    **{f"DELETE {path}/{{key}}": SUPERADMIN for path in POLICIES},  # a conflict: it is in use
    **{f"GET {path}/{{key}}/references": WATCHERS for path in POLICIES},
    "POST /v1/presets": SUPERADMIN._replace(body={}),
    "PATCH /v1/presets/{key}": SUPERADMIN._replace(body={}),
    "DELETE /v1/presets/{key}": SUPERADMIN._replace(anew="preset"),
    "GET /v1/settings": EVERYBODY,
    "PATCH /v1/settings": SUPERADMIN._replace(body={}),
    "DELETE /v1/settings/{key}": SUPERADMIN,
    "POST /v1/settings/reset": SUPERADMIN,
    "GET /v1/settings/timeline": EVERYBODY,
    "POST /v1/sessions": Row("afaaaaa", {}),
    "POST /v1/resource-groups/{key}/what-if": SUPERADMIN._replace(body={}),
    "POST /v1/sessions/simulate": Row("afaaaaa", {}),
    "GET /v1/sessions/{key}/stats": TENANT,
    "GET /v1/sessions/statistics": EVERYBODY,
    "DELETE /v1/sessions/{key}": Row("afaahhh"),
    "POST /v1/sessions/{key}/restart": Row("afaahhh"),
    "GET /v1/sessions/{key}/logs": Row("afaahhh"),
    "GET /v1/sessions/pending": Row("aaaffaf", query="resource_group=default"),
    "PATCH /v1/agents/{key}": SUPERADMIN._replace(body={"schedulable": True}),
    "GET /v1/system/info": EVERYBODY,
    "POST /v1/system/keys/reseal": SUPERADMIN,
    "POST /v1/maintenance/recalculate-usage": SUPERADMIN,
    "GET /v1/tasks/{key}": NOBODY,
    "POST /v1/tasks/{key}/cancel": NOBODY,
    "GET /live": EVERYBODY._replace(query="topics=sessions"),
}
