"""The read model of the policies service: resource policies and presets."""

from collections.abc import Sequence

import asyncpg

from services.gateway.documents.policies import (
    KeypairPolicyDocument,
    PresetDocument,
    ProjectPolicyDocument,
    UserPolicyDocument,
)
from services.gateway.projections.limits import (
    KEYPAIR_POLICIES,
    PRESETS,
    PROJECT_POLICIES,
    USER_POLICIES,
    keypair_policy,
    preset,
    project_policy,
    user_policy,
)
from shared.contracts.policies import (
    KeypairPolicyCreated,
    PresetDefined,
    ProjectPolicyCreated,
    UserPolicyCreated,
)
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables


class PoliciesProjection:
    """Folds the policies service's events."""

    name = "policies"
    version = 1
    sources = ("policies",)
    tables = ("keypair_policies", "user_policies", "project_policies", "presets")

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        await KEYPAIR_POLICIES.create(tx, tables("keypair_policies"))
        await USER_POLICIES.create(tx, tables("user_policies"))
        await PROJECT_POLICIES.create(tx, tables("project_policies"))
        await PRESETS.create(tx, tables("presets"))

    async def apply(
        self,
        tx: asyncpg.Connection,
        tables: Tables,
        source: str,  # noqa: ARG002  # the only source
        events: Sequence[Recorded],
    ) -> None:
        """Apply events of the policies service, in order."""
        keypair_policies: dict[str, KeypairPolicyDocument] = {}
        user_policies: dict[str, UserPolicyDocument] = {}
        project_policies: dict[str, ProjectPolicyDocument] = {}
        presets: dict[str, PresetDocument] = {}
        for recorded in events:
            event, at = recorded.event, recorded.recorded_at
            if isinstance(event, KeypairPolicyCreated):
                keypair_policies[event.name] = keypair_policy(event, at)
            elif isinstance(event, UserPolicyCreated):
                user_policies[event.name] = user_policy(event, at)
            elif isinstance(event, ProjectPolicyCreated):
                project_policies[event.name] = project_policy(event, at)
            elif isinstance(event, PresetDefined):
                presets[event.preset_id] = preset(event, at)
        await KEYPAIR_POLICIES.save(tx, tables("keypair_policies"), keypair_policies)
        await USER_POLICIES.save(tx, tables("user_policies"), user_policies)
        await PROJECT_POLICIES.save(tx, tables("project_policies"), project_policies)
        await PRESETS.save(tx, tables("presets"), presets)
