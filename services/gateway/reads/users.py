"""Users, keypairs, log-in sessions."""

from typing import Final, get_args

from services.gateway.http.parameters import Field, FieldKind, ListSpec
from services.gateway.reads.resources import DOMAIN, OWNER, Counts, Resource
from shared.contracts.users import KeypairStatus, Role, UserStatus

_TIMES: Final = (
    Field("created_at", FieldKind.TIME, filterable=False),
    Field("modified_at", FieldKind.TIME, filterable=False),
)

USERS: Final = Resource(
    noun="user",
    table="users",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("email", FieldKind.TEXT),
            Field("username", FieldKind.TEXT),
            Field("full_name", FieldKind.TEXT),
            Field("description", FieldKind.TEXT),
            Field("domain", FieldKind.EXACT),
            Field("role", FieldKind.EXACT, choices=get_args(Role)),
            Field("status", FieldKind.EXACT, choices=get_args(UserStatus)),
            Field("resource_policy", FieldKind.EXACT),
            Field("password_change_required", FieldKind.FLAG),
            Field("sudo_session_enabled", FieldKind.FLAG),
            Field("totp_enabled", FieldKind.FLAG),
            Field("erased", FieldKind.FLAG),
            Field("main_access_key", FieldKind.EXACT),
            Field("last_login_at", FieldKind.TIME, filterable=False, nullable=True),
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={"domain": DOMAIN, "own": "id = {user}"},
    list_action="users.list",
    read_action="users.read",
    counts=Counts(
        "user_counts",
        frozenset(
            {
                "domain",
                "role",
                "status",
                "resource_policy",
                "password_change_required",
                "sudo_session_enabled",
                "totp_enabled",
                "erased",
            }
        ),
        frozenset({"domain"}),
    ),
    searched=frozenset({"email", "username", "full_name", "description"}),
    versions="user_versions",
    past_columns={
        "last_login_at": "(select max(l.created_at) from logins l"
        " where l.user_id = v.id and l.created_at <= {at})"
    },
)
KEYPAIRS: Final = Resource(
    noun="keypair",
    table="keypairs",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("access_key", FieldKind.EXACT),
            Field("user_id", FieldKind.EXACT),
            Field("domain", FieldKind.EXACT),
            Field("status", FieldKind.EXACT, choices=get_args(KeypairStatus)),
            Field("resource_policy", FieldKind.EXACT),
            Field("is_main", FieldKind.FLAG),
            *_TIMES,
        )
    ),
    sources=("users",),
    sights={"domain": DOMAIN, "own": OWNER},
    list_action="keypairs.list",
    read_action="keypairs.read",
    is_live=True,
    counts=Counts(
        "keypair_counts",
        frozenset({"domain", "status", "resource_policy", "is_main"}),
        frozenset({"domain"}),
    ),
    versions="keypair_versions",
)
LOGINS: Final = Resource(
    noun="login",
    table="logins",
    spec=ListSpec(
        (
            Field("id", FieldKind.EXACT),
            Field("user_id", FieldKind.EXACT, sortable=False, filterable=False),
            Field("expires_at", FieldKind.TIME, filterable=False),
            Field("is_over", FieldKind.FLAG),
            *_TIMES,
        ),
        default_sort="-created_at",
    ),
    sources=("users",),
    sights={"own": OWNER},
    list_action="auth.sessions.list",
    read_action="auth.sessions.list",
)
# the log-in sessions of somebody else
USER_LOGINS: Final = LOGINS._replace(
    sights={}, list_action="users.sessions", read_action="users.sessions"
)
