"""The one place that decides: role x action -> scope, and scope x object -> answer.

A route names its action (`opt={"action": "users.list"}`); the console asks `may` which buttons to
draw. What lies outside one's sight is answered as if it were absent; what one sees but may not
change is forbidden.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from services.gateway.auth.principals import Principal
from shared.contracts.users import Role
from shared.kernel.rejections import Rejection

PUBLIC: Final = "public"
Scope = Literal["all", "domain", "own", "none"]


class Rule(NamedTuple):
    """How far each role's power over one action reaches."""

    superadmin: Scope
    admin: Scope
    user: Scope
    monitor: Scope

    def scope(self, role: Role) -> Scope:
        """Return the scope of a role."""
        return {
            "superadmin": self.superadmin,
            "admin": self.admin,
            "user": self.user,
            "monitor": self.monitor,
        }[role]


_EVERYONE: Final = Rule("all", "all", "all", "all")
_SELF: Final = Rule("own", "own", "own", "own")
_OPERATORS: Final = Rule("all", "none", "none", "none")
_WATCHERS: Final = Rule("all", "none", "none", "all")
_OWNERS: Final = Rule("all", "own", "own", "none")
_TENANT: Final = Rule("all", "domain", "own", "all")

# The left column is what a route or a button names; semantics.md 0.2 is the source of the rest.
RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "auth.me": _SELF,
        "auth.logout": _SELF,
        "auth.sessions.list": _SELF,
        "auth.sessions.revoke": _SELF,
        "users.list": _TENANT,
        "users.read": _TENANT,
        "users.create": _OPERATORS,
        "users.bulk": _OPERATORS,
        "users.update": _OPERATORS,
        "users.activate": _OPERATORS,
        "users.deactivate": _OPERATORS,
        "users.erase": _OPERATORS,
        "users.sessions": _OPERATORS,
        "users.limits": _TENANT,
        "profile.read": _SELF,
        "profile.update": _SELF,
        "profile.password": _SELF,
        "profile.totp": _SELF,
        "profile.preferences": _SELF,
        "keypairs.list": _TENANT,
        "keypairs.read": _TENANT,
        "keypairs.create": _OWNERS,
        "keypairs.update": _OPERATORS,
        "keypairs.activate": _OWNERS,
        "keypairs.deactivate": _OWNERS,
        "keypairs.make-main": _OWNERS,
        "keypairs.reveal": _OWNERS,
        "keypairs.delete": _OWNERS,
        "domains.list": Rule("all", "domain", "domain", "all"),
        "domains.read": Rule("all", "domain", "domain", "all"),
        "domains.create": _OPERATORS,
        "domains.update": _OPERATORS,
        "projects.list": Rule("all", "domain", "own", "all"),
        "projects.read": Rule("all", "domain", "own", "all"),
        "projects.create": Rule("all", "domain", "none", "none"),
        "projects.update": Rule("all", "domain", "none", "none"),
        # a project is the own one of those who administer it
        "projects.members": Rule("all", "domain", "own", "none"),
        "projects.members.list": Rule("all", "domain", "own", "all"),
        "keypair-policies.list": _TENANT,
        "keypair-policies.read": _TENANT,
        "keypair-policies.references": _WATCHERS,
        "keypair-policies.create": _OPERATORS,
        "keypair-policies.update": _OPERATORS,
        "keypair-policies.delete": _OPERATORS,
        "keypair-policies.impact": _OPERATORS,
        "user-policies.list": _WATCHERS,
        "user-policies.read": _WATCHERS,
        "user-policies.references": _WATCHERS,
        "user-policies.create": _OPERATORS,
        "user-policies.update": _OPERATORS,
        "user-policies.delete": _OPERATORS,
        "user-policies.impact": _OPERATORS,
        "project-policies.list": _WATCHERS,
        "project-policies.read": _WATCHERS,
        "project-policies.references": _WATCHERS,
        "project-policies.create": _OPERATORS,
        "project-policies.update": _OPERATORS,
        "project-policies.delete": _OPERATORS,
        "project-policies.impact": _OPERATORS,
        "presets.list": _EVERYONE,
        "presets.read": _EVERYONE,
        "presets.available": _SELF,
        "presets.create": _OPERATORS,
        "presets.update": _OPERATORS,
        "presets.delete": _OPERATORS,
        "settings.read": _EVERYONE,
        "settings.update": _OPERATORS,
        "resource-groups.list": Rule("all", "domain", "own", "all"),
        "resource-groups.read": Rule("all", "domain", "own", "all"),
        "resource-groups.create": _OPERATORS,
        "resource-groups.update": _OPERATORS,
        "resource-groups.delete": _OPERATORS,
        "resource-groups.references": _WATCHERS,
        "resource-groups.what-if": _OPERATORS,
        # tells who may enter, which those who may are not shown
        "resource-groups.timeline": _WATCHERS,
        "images.list": _EVERYONE,
        "images.read": _EVERYONE,
        "agents.list": _WATCHERS,
        "agents.read": _WATCHERS,
        "agents.update": _OPERATORS,
        "sessions.list": _TENANT,
        "sessions.read": _TENANT,
        "sessions.stats": _TENANT,
        "sessions.statistics": _TENANT,
        "sessions.logs": Rule("all", "domain", "own", "none"),
        "sessions.create": Rule("all", "domain", "own", "none"),
        "sessions.simulate": Rule("all", "domain", "own", "none"),
        "sessions.restart": Rule("all", "domain", "own", "none"),
        # a member of the body of a creation
        "sessions.designate": Rule("all", "domain", "none", "none"),
        "sessions.terminate": Rule("all", "domain", "own", "none"),
        "queue.list": Rule("all", "domain", "none", "all"),
        "events.list": _WATCHERS,
        "system.info": _EVERYONE,
        "keys.reseal": _OPERATORS,
        "maintenance.recalculate-usage": _OPERATORS,
        "tasks.read": _SELF,
        "tasks.cancel": _SELF,
        "live": _EVERYONE,
        "console": _EVERYONE,
    }
)


class Verdict(Enum):
    """What a caller may do with one object."""

    ALLOWED = "allowed"
    HIDDEN = "hidden"
    FORBIDDEN = "forbidden"


def scope_of(principal: Principal, action: str) -> Scope:
    """Return how far `action` reaches for the caller; an action without a rule is a KeyError."""
    return RULES[action].scope(principal.role)


def may(principal: Principal, action: str) -> bool:
    """Tell whether the caller may do `action` to anything at all."""
    return scope_of(principal, action) != "none"


def capabilities(principal: Principal) -> list[str]:
    """Return every action that the caller may do to something, in the order of their names."""
    return sorted(action for action in RULES if may(principal, action))


def covers(scope: Scope, principal: Principal, *, owner: str | None, domain: str | None) -> bool:
    """Tell whether a scope includes an object of this owner and domain."""
    if scope == "all":
        return True
    if scope == "domain":
        return domain == principal.domain or owner == principal.user_id
    return scope == "own" and owner == principal.user_id


def judge(
    principal: Principal,
    action: str,
    *,
    read_action: str,
    owner: str | None = None,
    domain: str | None = None,
) -> Verdict:
    """Decide about one object: first whether it is seen at all, then whether it may be touched."""
    if not covers(scope_of(principal, read_action), principal, owner=owner, domain=domain):
        return Verdict.HIDDEN
    if not covers(scope_of(principal, action), principal, owner=owner, domain=domain):
        return Verdict.FORBIDDEN
    return Verdict.ALLOWED


def forbidden(action: str) -> Rejection:
    """Return the refusal of something that the caller's role does not include."""
    return Rejection(
        kind="forbidden",
        code="forbidden",
        message="Your role does not include this action.",
        details={"action": action},
    )
