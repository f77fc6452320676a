"""The settings as they are: what somebody has changed, over the defaults."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.gateway.documents.settings import SettingDocument, SettingSchema, nested
from services.gateway.reads.models import ReadModels
from shared.contracts.policies import SETTINGS, SettingValue

SCHEMA: Final = "schema"
_decode = msgspec.json.Decoder(SettingDocument).decode


async def changed_settings(reads: ReadModels) -> Mapping[str, SettingDocument]:
    """Return the settings that somebody has ever changed, by dotted key; shared, so read only."""

    async def load() -> dict[str, SettingDocument]:
        rows = await reads.pool.fetch("select id, doc from settings")
        return {row["id"]: _decode(row["doc"]) for row in rows}

    return await reads.known(("settings",), ("policies",), load)


async def setting_values(reads: ReadModels) -> dict[str, SettingValue]:
    """Return what every setting is, by dotted key."""
    changed = await changed_settings(reads)
    return {
        key: changed[key].value if key in changed and changed[key].is_set else setting.default
        for key, setting in SETTINGS.items()
    }


async def settings_document(reads: ReadModels) -> dict[str, Any]:
    """Return all settings as the API shows them, with what each may be."""
    changed = await changed_settings(reads)
    schema = {}
    for key, setting in SETTINGS.items():
        known = changed.get(key)
        schema[key] = SettingSchema(
            type=setting.type,
            default=setting.default,
            minimum=setting.least,
            maximum=setting.most,
            choices=list(setting.choices),
            nullable=setting.nullable,
            scope=setting.scope,
            description=setting.description,
            changed_at=None if known is None else known.changed_at,
            changed_by=None if known is None else known.changed_by,
        )
    return {**nested(await setting_values(reads)), SCHEMA: schema}
