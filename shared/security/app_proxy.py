"""The token with which the gateway asks a resource group's app proxy: sealed wherever it rests.

| sealed by | opened by | where |
|---|---|---|
| gateway | gateway | `wsproxy_api_token` of a resource group's commands and events |

It is bound to its group. `open_proxy_token` raises SealBroken when a value does not open.
"""

from typing import Final

from shared.contracts.base import Sealed
from shared.security.sealing import Keyring

APP_PROXY: Final = "app-proxy"


def seal_proxy_token(keyring: Keyring, group: str, token: str) -> Sealed:
    """Seal the token of a group's app proxy."""
    return keyring.seal(APP_PROXY, token, context=f"resource-group {group}")


def open_proxy_token(keyring: Keyring, group: str, sealed: Sealed) -> str:
    """Open what `seal_proxy_token` made."""
    return keyring.open_text(APP_PROXY, sealed, context=f"resource-group {group}")
