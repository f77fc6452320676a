"""The names that only one may hold, claimed in the transactions that give them."""

from typing import Final

from shared.eventlog.records import Claim

PRESET_NAME: Final = "preset-name"
DEFAULT_POLICY: Final = "default-policy"
KEYPAIR: Final = "keypair"


def preset_claim(resource_group: str | None, name: str, preset_id: str) -> Claim:
    """Return the claim of a preset's name: unique in its group, or among those of every group."""
    return Claim(PRESET_NAME, f"{resource_group or ''}/{name}", preset_id)


def default_claim(policy: str) -> Claim:
    """Return the claim of the keypair policy that is the default; there is one at a time."""
    return Claim(DEFAULT_POLICY, KEYPAIR, policy)
