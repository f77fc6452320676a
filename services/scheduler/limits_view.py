"""Which limits hold for whom: the policies of keypairs, the ceilings of projects and domains."""

from collections.abc import Iterator

from msgspec import UNSET

from services.scheduler.domain.quota import KeypairLimits
from services.scheduler.domain.resource_group import Defaults
from services.scheduler.domain.scopes import (
    CLOSED,
    Ceiling,
    domain_scope,
    keypair_scope,
    project_scope,
)
from services.scheduler.keypairs_view import KeypairsView
from services.scheduler.policies_view import PoliciesView
from shared.contracts.base import Event, Limits
from shared.contracts.policies import (
    KeypairPolicyChanged,
    KeypairPolicyCreated,
    KeypairPolicyDeleted,
)
from shared.contracts.users import DomainChanged, DomainCreated, ProjectChanged, ProjectCreated


class LimitsView:
    """The limits of every scope, as far as the others' events have told."""

    def __init__(self) -> None:
        self.policies = PoliciesView()
        self.keypairs = KeypairsView()
        self._tenants: dict[str, Limits] = {}

    def apply(self, event: Event) -> tuple[str, ...]:
        """Take in the next event; return the scopes whose limits it has changed."""
        match event:
            case KeypairPolicyCreated() | KeypairPolicyChanged() | KeypairPolicyDeleted():
                self.policies.apply(event)
                return tuple(map(keypair_scope, self.keypairs.under(event.name)))
            case DomainCreated() | DomainChanged():
                return self._tenant(domain_scope(event.name), event)
            case ProjectCreated() | ProjectChanged():
                return self._tenant(project_scope(event.project_id), event)
        self.policies.apply(event)
        access_key = self.keypairs.apply(event)
        return () if access_key is None else (keypair_scope(access_key),)

    def of_keypair(self, access_key: str) -> KeypairLimits | None:
        """Return the limits of a keypair; None when its policy is not known (yet)."""
        policy = self.keypairs.policy_of(access_key)
        return None if policy is None else self.policies.keypair.get(policy)

    def ceiling(self, scope: str) -> Ceiling:
        """Return what a scope may hold."""
        kind, _, key = scope.partition(":")
        if kind != "keypair":
            return Ceiling(self._tenants[scope])
        limits = self.of_keypair(key)
        if limits is None:
            return CLOSED
        return Ceiling(
            limits.total_resource_slots,
            limits.default_for_unspecified,
            limits.max_concurrent_sessions,
            limits.max_session_lifetime,
            limits.idle_timeout,
            limits.lifetime_base,
        )

    def scopes(self) -> Iterator[str]:
        """Walk all scopes that may have limits."""
        yield from self._tenants
        yield from map(keypair_scope, self.keypairs.all())

    def defaults(self) -> Defaults:
        """Return what the settings say for groups that say nothing themselves."""
        return Defaults(
            retries_to_skip=self.policies.retries_to_skip,
            max_containers=self.policies.max_containers_per_agent,
        )

    def _tenant(
        self, scope: str, event: DomainCreated | DomainChanged | ProjectCreated | ProjectChanged
    ) -> tuple[str, ...]:
        if event.total_resource_slots is UNSET:
            return ()
        self._tenants[scope] = event.total_resource_slots
        return (scope,)
