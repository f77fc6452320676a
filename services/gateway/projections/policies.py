"""The read model of the policies service: resource policies, presets and settings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from services.gateway.projections.limits import (
    KEYPAIR_POLICIES,
    PRESETS,
    PROJECT_POLICIES,
    SETTINGS,
    USER_POLICIES,
)
from services.gateway.projections.policies_fold import Batch, fold, touched
from services.gateway.projections.versions import VersionedTable, Versions
from shared.contracts.policies import SettingChanged, SettingReset
from shared.eventlog.records import Recorded
from shared.projections.projection import Tables

# aggregate -> its table of what is, and the name of the table of what was
_VERSIONED: Final[Mapping[str, tuple[VersionedTable[Any], str]]] = {
    "keypair-policy": (KEYPAIR_POLICIES, "keypair_policy_versions"),
    "user-policy": (USER_POLICIES, "user_policy_versions"),
    "project-policy": (PROJECT_POLICIES, "project_policy_versions"),
    "preset": (PRESETS, "preset_versions"),
}


class PoliciesProjection:
    """Folds the policies service's events."""

    name = "policies"
    version = 3
    sources = ("policies",)
    tables = (
        "keypair_policies",
        "keypair_policy_versions",
        "user_policies",
        "user_policy_versions",
        "project_policies",
        "project_policy_versions",
        "presets",
        "preset_versions",
        "settings",
    )

    async def create(self, tx: asyncpg.Connection, tables: Tables) -> None:
        """Create the empty tables of one generation."""
        for table, past in _VERSIONED.values():
            await table.create(tx, tables(table.name))
            await table.create_versions(tx, tables(past))
        await SETTINGS.create(tx, tables("settings"))

    async def apply(
        self,
        tx: asyncpg.Connection,
        tables: Tables,
        source: str,  # noqa: ARG002  # the only source
        events: Sequence[Recorded],
    ) -> None:
        """Apply events of the policies service, in order."""
        keys, batch = touched(events), Batch()
        documents: dict[str, dict[str, Any]] = {}
        for aggregate, (table, _) in _VERSIONED.items():
            documents[aggregate] = getattr(batch, table.name)
            found = await table.load(tx, tables(table.name), keys.get(aggregate, ()))
            documents[aggregate].update(found)
        versions = {
            aggregate: Versions(table, documents[aggregate])
            for aggregate, (table, _) in _VERSIONED.items()
        }
        for recorded in events:
            event, at = recorded.event, recorded.recorded_at
            fold(batch, recorded)
            if not isinstance(event, SettingChanged | SettingReset):
                versions[event.AGGREGATE].note(documents[event.AGGREGATE], (event.key(),), at)
        for aggregate, (table, past) in _VERSIONED.items():
            await versions[aggregate].save(
                tx, tables(table.name), tables(past), None, documents[aggregate]
            )
        await SETTINGS.save(tx, tables("settings"), batch.settings)
