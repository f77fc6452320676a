"""A session's environment on its way from the gateway over the scheduler to the nodes.

| step | sealed by | opened by | where |
|---|---|---|---|
| to the log | gateway | scheduler | `EnqueueSession.environ`, `SessionEnqueued.environ` |
| to a node | scheduler | that node only | `KernelSpec.environ` |

It is bound to its owner in the log and to the kernel on the way to a node. All that open raise
SealBroken when a value does not open.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from shared.contracts.base import Sealed
from shared.security.sealing import Keyring, NodeKey, SealBroken

ENVIRON: Final = "environ"
_decoder: msgspec.json.Decoder[dict[str, str]] = msgspec.json.Decoder(dict[str, str])


def seal_environ(keyring: Keyring, user_id: str, environ: Mapping[str, str]) -> Sealed:
    """Seal a session's environment for the log; `user_id` owns the session."""
    return keyring.seal(ENVIRON, msgspec.json.encode(environ), context=f"user {user_id}")


def open_environ(keyring: Keyring, user_id: str, sealed: Sealed) -> dict[str, str]:
    """Open what `seal_environ` made."""
    return _decode(keyring.open(ENVIRON, sealed, context=f"user {user_id}"))


def seal_for_node(key: NodeKey, kernel_id: str, environ: Mapping[str, str]) -> Sealed:
    """Seal the environment of one kernel for the node that runs it (`keyring.node_key(agent)`)."""
    return key.seal(msgspec.json.encode(environ), context=f"kernel {kernel_id}")


def open_on_node(key: NodeKey, kernel_id: str, sealed: Sealed) -> dict[str, str]:
    """Open what `seal_for_node` made."""
    return _decode(key.open(sealed, context=f"kernel {kernel_id}"))


def _decode(raw: bytes) -> dict[str, str]:
    try:
        return _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise SealBroken("a sealed environment is not an object of strings") from error
